//! chronyd as a client.
