use super::super::tests::{peers, read};
