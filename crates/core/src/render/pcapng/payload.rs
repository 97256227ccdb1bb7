//! An NTP header from a row, and what follows a header from what is known of it.

use crate::model;
use crate::wire::ntp::{HEADER, Tail};
use std::net::Ipv4Addr;

/// The NTP header that a row tells of.
pub(super) fn header_of(row: &model::Packet<'_>) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    let bits = |value: Option<u8>, mask: u8| value.unwrap_or(0) & mask;
    bytes[0] = bits(row.leap, 3) << 6 | bits(row.version, 7) << 3 | bits(row.mode, 7);
    bytes[1] = row.stratum.unwrap_or(0);
    bytes[2] = row.poll.unwrap_or(0) as u8;
    bytes[3] = row.precision.unwrap_or(0) as u8;
    // Seconds in units of 2⁻¹⁶ (RFC 5905 §6); a float that is too large becomes the largest.
    let short = |seconds: Option<f64>| ((seconds.unwrap_or(0.0) * 65_536.0).round() as u32).to_be_bytes();
    bytes[4..8].copy_from_slice(&short(row.root_delay_s));
    bytes[8..12].copy_from_slice(&short(row.root_dispersion_s));
    bytes[12..16].copy_from_slice(&refid_bytes(row.refid));
    for (at, stamp) in [(16, row.reference), (24, row.originate), (32, row.receive), (40, row.transmit)] {
        bytes[at..at + 8].copy_from_slice(&stamp.unwrap_or(0).to_be_bytes());
    }
    bytes
}

/// `192.0.2.1`, `0xc0000201`, `.GPS.` or `GPS`; anything else is not known.
pub(super) fn refid_bytes(text: &str) -> [u8; 4] {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return address.octets();
    }
    if let Some(bits) = text.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        return bits.to_be_bytes();
    }
    let letters = text.strip_prefix('.').and_then(|text| text.strip_suffix('.')).unwrap_or(text);
    let mut bytes = [0; 4];
    if letters.len() <= 4 && letters.bytes().all(|byte| byte.is_ascii_graphic()) {
        bytes[..letters.len()].copy_from_slice(letters.as_bytes());
    }
    bytes
}

/// Lengths that are read as a MAC when they are left (RFC 7822 §3): no field may leave one.
const MACS: [usize; 3] = [4, 20, 24];

/// Writes `length` bytes, or as many as are known, that [`Tail::read`] reads as `tail`.
///
/// Fields are as short as can be, so that they leave no less than the original ones did, and the last takes what is left
/// before the MAC.
pub(super) fn write_tail(tail: Tail, length: usize, payload: &mut Vec<u8>) {
    // The type of an NTS cookie (RFC 8915 §5.4); 0 is none.
    const NTS_COOKIE: u16 = 0x0204;
    const SHORTEST: usize = 4;
    let mut left = length;
    let mac = usize::from(tail.mac);
    for field in 1..=tail.extensions {
        let whole = field == tail.extensions && (1..usize::from(u8::MAX)).contains(&mac) && left >= mac + SHORTEST;
        let size = if whole {
            left - mac
        } else if MACS.contains(&left.saturating_sub(SHORTEST)) {
            SHORTEST + 1
        } else {
            SHORTEST
        };
        let kind = if tail.nts && field == 1 { NTS_COOKIE } else { 0 };
        payload.extend(kind.to_be_bytes());
        payload.extend((size as u16).to_be_bytes());
        payload.resize(payload.len() + size - SHORTEST, 0);
        left = left.saturating_sub(size);
    }
    // A MAC of zeros can't be a field, which has a length. Without one, what follows was not seen.
    if mac > 0 {
        payload.resize(payload.len() + left, 0);
    }
}
