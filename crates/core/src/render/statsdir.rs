//! stub
use crate::model::{Clock, Packet, Peer};
/// x
pub fn loopstats(_: &Clock<'_>, _: &mut String) -> bool {
    false
}
/// x
pub fn peerstats(_: &Peer<'_>, _: &mut String) -> bool {
    false
}
/// x
pub fn rawstats(_: &Packet<'_>, _: &mut String) -> bool {
    false
}
