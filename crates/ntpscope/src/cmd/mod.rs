//! One file a verb.

pub mod diagnose;
pub mod exchanges;
pub mod explain;
pub mod rows;
