//! NTP packets as daemons make them (RFC 5905 §7.3).

use ntpscope_core::time::{NTP_TO_UNIX, SECOND, Time, ntp_stamp};
use ntpscope_core::wire::ntp::Header;

/// The fields of a header; timestamps are 64-bit NTP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Packet {
    /// Leap indicator.
    pub leap: u8,
    /// Version.
    pub version: u8,
    /// Mode.
    pub mode: u8,
    /// Stratum.
    pub stratum: u8,
    /// log₂ s.
    pub poll: i8,
    /// log₂ s.
    pub precision: i8,
    /// Seconds.
    pub root_delay_s: f64,
    /// Seconds.
    pub root_dispersion_s: f64,
    /// Reference id.
    pub refid: [u8; 4],
    /// Reference timestamp.
    pub reference: u64,
    /// Origin timestamp.
    pub origin: u64,
    /// Receive timestamp.
    pub receive: u64,
    /// Transmit timestamp.
    pub transmit: u64,
}

impl Packet {
    /// What a payload's header says.
    #[must_use]
    pub fn of(header: &Header) -> Packet {
        Packet {
            leap: header.leap(),
            version: header.version(),
            mode: header.mode(),
            stratum: header.stratum(),
            poll: header.poll(),
            precision: header.precision(),
            root_delay_s: header.root_delay_s(),
            root_dispersion_s: header.root_dispersion_s(),
            refid: header.refid(),
            reference: header.reference(),
            origin: header.origin(),
            receive: header.receive(),
            transmit: header.transmit(),
        }
    }

    /// The bytes of a payload of `length` bytes, 48 at the least; what is longer is one extension field of padding
    /// (RFC 7822).
    #[must_use]
    pub fn bytes(&self, length: u16) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::from(length.max(48)));
        bytes.extend([self.leap << 6 | (self.version & 7) << 3 | self.mode & 7, self.stratum]);
        bytes.extend([self.poll as u8, self.precision as u8]);
        bytes.extend(short(self.root_delay_s));
        bytes.extend(short(self.root_dispersion_s));
        bytes.extend(self.refid);
        for stamp in [self.reference, self.origin, self.receive, self.transmit] {
            bytes.extend(stamp.to_be_bytes());
        }
        let field = length.saturating_sub(48);
        if field >= 4 {
            bytes.extend(PADDING.to_be_bytes());
            bytes.extend(field.to_be_bytes());
        }
        bytes.resize(usize::from(length.max(48)), 0);
        bytes
    }
}

/// The type of an extension field that only pads (`draft-ietf-ntp-ntpv5`: Padding).
const PADDING: u16 = 0xf501;

/// The 32-bit format of seconds.
fn short(seconds: f64) -> [u8; 4] {
    ((seconds * 65_536.0).round().clamp(0.0, f64::from(u32::MAX)) as u32).to_be_bytes()
}

/// The 64-bit NTP timestamp of a time.
#[must_use]
pub fn ntp(time: Time) -> u64 {
    let second = time.0.div_euclid(SECOND) + NTP_TO_UNIX;
    ntp_stamp(second as u32, time.0.rem_euclid(SECOND) as u32)
}

/// `a − b` of two NTP timestamps that are within 68 years, in seconds.
#[must_use]
pub fn difference_s(a: u64, b: u64) -> f64 {
    a.wrapping_sub(b) as i64 as f64 / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntpscope_core::wire::ntp::Tail;

    #[test]
    fn a_packet_is_read_as_it_was_made() {
        let packet =
            Packet { leap: 3, version: 4, mode: 3, poll: -6, root_delay_s: 0.5, refid: *b"INIT", ..Packet::default() };
        let packet = Packet { transmit: ntp(Time(1_795_340_180_250_000_000)), ..packet };
        let bytes = packet.bytes(80);
        let header = Header::read(&bytes).expect("a header");
        assert_eq!((header.leap(), header.version(), header.mode(), header.poll()), (3, 4, 3, -6));
        assert_eq!((header.root_delay_s(), header.refid(), header.transmit()), (0.5, *b"INIT", 0xeead_3614_4000_0000));
        assert_eq!(Tail::read(&bytes, 80).extensions, 1);
        assert_eq!(packet.bytes(0).len(), 48);
    }

    #[test]
    fn differences_cross_the_era() {
        assert_eq!(difference_s(1 << 31, u64::MAX - (1 << 31) + 1), 1.0);
    }
}
