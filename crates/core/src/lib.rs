//! What ntpscope decides: bytes in, diagnosis out.
//!
//! Data runs one way: readers ([`wire`], [`text`]) → rows ([`model`]) → [`rules`] → findings → [`causes`] →
//! [`diagnosis`] → [`render`]. Nothing here opens a file or a socket, reads a clock, or starts a thread.
#![forbid(unsafe_code)]

pub mod causes;
pub mod clock;
pub mod diagnosis;
pub mod digest;
pub mod exchange;
pub mod model;
pub mod quantiles;
pub mod render;
pub mod rules;
pub mod scene;
pub mod signs;
pub mod stats;
pub mod table;
pub mod text;
pub mod time;
pub mod version;
pub mod wire;
