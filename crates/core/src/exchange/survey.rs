//! A first look over one capture: its span, and a sample of its requests that is the same at every point.

use super::{Matcher, PointId};
use crate::time::Time;
use crate::wire::{Packet, Role};
use std::collections::BTreeMap;

/// Requests in the sample: enough that two captures which share a hundredth of their requests still meet.
const SAMPLE: usize = 1024;

/// What one capture holds, in bounded memory.
///
/// The sample keeps the requests whose key hashes lowest (bottom-k): since the hash depends on the NTP payload
/// alone, which no router changes, captures of the same requests keep the same ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The point that the capture belongs to.
    pub point: PointId,
    /// First and last frame, NTP or not, on the capture's own clock.
    pub span: Option<(Time, Time)>,
    /// Whether the capture cuts packets before their timestamps: it can't see what others see.
    pub(super) blurred: bool,
    pub(super) sample: BTreeMap<u64, Time>,
}

impl Survey {
    /// An empty survey of a capture at `point`.
    #[must_use]
    pub fn new(point: PointId) -> Self {
        Survey { point, span: None, blurred: false, sample: BTreeMap::new() }
    }

    /// Takes a packet into account.
    pub fn fold(&mut self, packet: &Packet) {
        self.cover(packet.time, packet.time);
        self.blurred |= packet.role() == Role::Request && packet.icmp.is_none() && !packet.ntp.is_whole();
        if packet.role() != Role::Request || packet.icmp.is_some() || packet.ntp.transmit() == 0 {
            return;
        }
        let key = Matcher::fingerprint(packet);
        let full = self.sample.len() >= SAMPLE;
        if full && self.sample.last_key_value().is_some_and(|(highest, _)| key >= *highest) {
            return;
        }
        self.sample.entry(key).or_insert(packet.time);
        if self.sample.len() > SAMPLE {
            self.sample.pop_last();
        }
    }

    /// Extends the span.
    pub fn cover(&mut self, first: Time, last: Time) {
        let (a, b) = self.span.unwrap_or((first, last));
        self.span = Some((a.min(first), b.max(last)));
    }
}
