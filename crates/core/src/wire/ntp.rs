//! The NTP header (RFC 5905 §7.3) to the bit, and what may follow it (RFC 7822, RFC 8915).

/// Length of the header in bytes.
pub const HEADER: usize = 48;

/// A view of an NTP header. Every bit is kept: `Header::read(b).bytes() == b`.
///
/// A capture with a short snap length may have cut it; fields beyond the cut read as 0.
///
/// ```
/// use ntpscope_core::wire::ntp::Header;
/// let mut bytes = [0; 48];
/// bytes[0] = 0b00_100_011; // no warning, version 4, client
/// let header = Header::read(&bytes).unwrap();
/// assert_eq!((header.leap(), header.version(), header.mode()), (0, 4, 3));
/// assert_eq!(header.bytes(), bytes);
/// assert!(Header::read(&[]).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER],
    caught: u8,
}

impl Header {
    /// From the start of a UDP payload; `None` where not even the first byte was captured.
    #[must_use]
    pub fn read(payload: &[u8]) -> Option<Header> {
        let mut bytes = [0; HEADER];
        let caught = payload.len().min(HEADER);
        bytes[..caught].copy_from_slice(&payload[..caught]);
        (caught > 0).then_some(Header { bytes, caught: caught as u8 })
    }

    /// The header's bytes, zero beyond what was captured.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER] {
        self.bytes
    }

    /// How many of the 48 bytes were captured.
    #[must_use]
    pub fn caught(&self) -> usize {
        usize::from(self.caught)
    }

    /// Whether all 48 bytes are there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.caught() == HEADER
    }

    /// Leap indicator, 0–3; 3 is *not synchronised*.
    #[must_use]
    pub fn leap(&self) -> u8 {
        self.bytes[0] >> 6
    }

    /// Version, 0–7.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.bytes[0] >> 3 & 7
    }

    /// Mode, 0–7.
    #[must_use]
    pub fn mode(&self) -> u8 {
        self.bytes[0] & 7
    }

    /// Stratum; 0 in a reply is a kiss-o'-death.
    #[must_use]
    pub fn stratum(&self) -> u8 {
        self.bytes[1]
    }

    /// Poll exponent, log₂ seconds.
    #[must_use]
    pub fn poll(&self) -> i8 {
        self.bytes[2] as i8
    }

    /// Precision, log₂ seconds.
    #[must_use]
    pub fn precision(&self) -> i8 {
        self.bytes[3] as i8
    }

    /// Root delay in seconds.
    #[must_use]
    pub fn root_delay_s(&self) -> f64 {
        f64::from(self.word(4)) / 65536.0
    }

    /// Root dispersion in seconds.
    #[must_use]
    pub fn root_dispersion_s(&self) -> f64 {
        f64::from(self.word(8)) / 65536.0
    }

    /// Reference id.
    #[must_use]
    pub fn refid(&self) -> [u8; 4] {
        self.word(12).to_be_bytes()
    }

    /// Reference timestamp.
    #[must_use]
    pub fn reference(&self) -> u64 {
        self.stamp(16)
    }

    /// Origin timestamp: in a reply, the request's transmit timestamp.
    #[must_use]
    pub fn origin(&self) -> u64 {
        self.stamp(24)
    }

    /// Receive timestamp.
    #[must_use]
    pub fn receive(&self) -> u64 {
        self.stamp(32)
    }

    /// Transmit timestamp.
    #[must_use]
    pub fn transmit(&self) -> u64 {
        self.stamp(40)
    }

    /// The kiss code, where this reply is a kiss-o'-death (stratum 0 with printable letters; RFC 5905 §7.4).
    #[must_use]
    pub fn kiss(&self) -> Option<[u8; 4]> {
        let code = self.refid();
        let printable = code.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == 0) && code[0] != 0;
        (matches!(self.mode(), 2 | 4) && self.stratum() == 0 && printable).then_some(code)
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], self.bytes[at + 3]])
    }

    fn stamp(&self, at: usize) -> u64 {
        u64::from(self.word(at)) << 32 | u64::from(self.word(at + 4))
    }
}

/// What follows the header: extension fields and a message authentication code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tail {
    /// Number of extension fields.
    pub extensions: u8,
    /// Length of the MAC in bytes, key id included; 4 is a crypto-NAK.
    pub mac: u8,
    /// Whether a field of Network Time Security is among them.
    pub nts: bool,
}

impl Tail {
    /// Reads what follows the header. `payload` is what was captured of a UDP payload of `length` bytes.
    ///
    /// A field is told from a MAC by the length that is left (RFC 7822 §3): 4, 20 or 24 bytes are a MAC. Where
    /// the capture has cut the payload, what can be seen is counted.
    #[must_use]
    pub fn read(payload: &[u8], length: usize) -> Tail {
        let mut tail = Tail::default();
        let mut at = HEADER;
        while at < length {
            let left = length - at;
            if matches!(left, 4 | 20 | 24) {
                tail.mac = left as u8;
                break;
            }
            let Some(&[a, b, c, d]) = payload.get(at..at + 4) else { break };
            let field = usize::from(u16::from_be_bytes([c, d]));
            if field < 4 || field > left {
                // Not a field: a MAC of another length (SHA-256 and the like) reaches to the end.
                tail.mac = u8::try_from(left).unwrap_or(u8::MAX);
                break;
            }
            tail.extensions = tail.extensions.saturating_add(1);
            tail.nts |= matches!(u16::from_be_bytes([a, b]), 0x0104 | 0x0204 | 0x0304 | 0x0404);
            at += field;
        }
        tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: u8, stratum: u8, refid: &[u8; 4]) -> Header {
        let mut bytes = [0; HEADER];
        (bytes[0], bytes[1]) = (0b11_100_000 | kind, stratum);
        bytes[12..16].copy_from_slice(refid);
        Header::read(&bytes).expect("48 bytes")
    }

    #[test]
    fn only_a_reply_of_stratum_0_with_letters_is_a_kiss() {
        assert_eq!(reply(4, 0, b"RATE").kiss(), Some(*b"RATE"));
        assert_eq!(reply(4, 1, b"GPS\0").kiss(), None);
        assert_eq!(reply(3, 0, b"RATE").kiss(), None);
        assert_eq!(reply(4, 0, &[10, 0, 0, 1]).kiss(), None);
    }

    #[test]
    fn fields_and_mac_are_told_apart_by_what_is_left() {
        let mut payload = vec![0; HEADER];
        assert_eq!(Tail::read(&payload, 48 + 20).mac, 20);
        payload.extend([0x02, 0x04, 0, 16]);
        payload.extend([0; 12]);
        let tail = Tail::read(&payload, 48 + 16 + 24);
        assert_eq!(tail, Tail { extensions: 1, mac: 24, nts: true });
        assert_eq!(Tail::read(&[0; 60], 60).mac, 12);
    }

    #[test]
    fn fields_beyond_a_cut_read_as_zero() {
        let header = Header::read(&[0x23; 18]).expect("18 bytes");
        assert_eq!((header.caught(), header.transmit(), header.stratum()), (18, 0, 0x23));
    }
}
