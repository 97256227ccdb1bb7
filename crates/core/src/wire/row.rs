//! A captured packet as a row, so that tables show it like one that a text tells of.

use super::Packet;
use super::ntp::HEADER;
use crate::model::{self, At};
use std::fmt::Write;

impl Packet {
    /// The row; `None` for a packet that an ICMP error quotes, which nobody sent here.
    ///
    /// What the capture cut off is `None`, and so is a timestamp of zero: it is not set. Modes 6 and 7 have another
    /// header, of which only version and mode are the same. `refid` holds the text that the row borrows: letters up to
    /// stratum 1, else an address (or four bytes of a hash that look like one).
    #[must_use]
    pub fn row<'a>(&self, refid: &'a mut String) -> Option<model::Packet<'a>> {
        if self.icmp.is_some() {
            return None;
        }
        let mut row = model::Packet::new(At { time: Some(self.time), ..At::origin(self.origin) });
        row.source = (Some(self.source.0), Some(self.source.1));
        row.destination = (Some(self.destination.0), Some(self.destination.1));
        (row.length, row.ttl) = (Some(self.length), Some(self.ttl));
        let ntp = &self.ntp;
        (row.version, row.mode) = (Some(ntp.version()), Some(ntp.mode()));
        if ntp.mode() >= 6 {
            return Some(row);
        }
        let caught = |end: usize| ntp.caught() >= end;
        row.leap = Some(ntp.leap());
        row.stratum = caught(2).then(|| ntp.stratum());
        row.poll = caught(3).then(|| ntp.poll());
        row.precision = caught(4).then(|| ntp.precision());
        row.root_delay_s = caught(8).then(|| ntp.root_delay_s());
        row.root_dispersion_s = caught(12).then(|| ntp.root_dispersion_s());
        refid.clear();
        write_refid(ntp.stratum(), ntp.refid(), refid);
        row.refid = if caught(16) { refid } else { "" };
        let stamp = |end: usize, stamp: u64| Some(stamp).filter(|stamp| caught(end) && *stamp != 0);
        row.reference = stamp(24, ntp.reference());
        row.originate = stamp(32, ntp.origin());
        row.receive = stamp(40, ntp.receive());
        row.transmit = stamp(HEADER, ntp.transmit());
        Some(row)
    }
}

fn write_refid(stratum: u8, bytes: [u8; 4], text: &mut String) {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let letters = &bytes[..length];
    if stratum <= 1 && letters.iter().all(u8::is_ascii_graphic) {
        text.extend(letters.iter().copied().map(char::from));
    } else if length > 0 {
        // A string does not fail.
        let _ = write!(text, "{}", std::net::Ipv4Addr::from(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::super::ntp::{Header, Tail};
    use super::*;
    use crate::model::{InputId, Origin, Place, Row};
    use crate::table::Owner;
    use crate::time::Time;
    use std::net::{IpAddr, Ipv4Addr};

    fn packet(bytes: &[u8]) -> Packet {
        Packet {
            origin: Origin { input: InputId(0), place: Place::Frame(7) },
            interface: 0,
            time: Time(1_795_340_180_500_000_000),
            source: (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 123),
            destination: (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2)), 40_000),
            ttl: 63,
            dscp: 46,
            ip_id: 9,
            length: 48,
            ntp: Header::read(bytes).expect("a byte"),
            tail: Tail::default(),
            icmp: None,
        }
    }

    fn json(packet: &Packet) -> String {
        let (mut refid, mut json) = (String::new(), String::new());
        let row = packet.row(&mut refid).expect("no quote");
        crate::render::rows::json(&Row::Packet(row), Owner::default(), &mut json);
        json
    }

    #[test]
    fn a_row_has_every_field_of_the_header() {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&[0b01_100_100, 1, 6, 0xe9]);
        (bytes[6], bytes[9]) = (0x80, 0x02);
        bytes[12..16].copy_from_slice(b"GPS\0");
        (bytes[23], bytes[40]) = (5, 0xee);
        assert_eq!(
            json(&packet(&bytes)),
            "{\"table\":\"packet\",\"line\":7,\"time\":\"2026-11-22T09:36:20.5Z\",\"source\":\"192.0.2.1\",\"source_port\":123,\
             \"destination\":\"198.51.100.2\",\"destination_port\":40000,\"leap\":1,\"version\":4,\"mode\":4,\"stratum\":1,\
             \"poll\":6,\"precision\":-23,\"root_delay_s\":0.5,\"root_dispersion_s\":2,\"refid\":\"GPS\",\
             \"reference\":\"00000000.00000005\",\"transmit\":\"ee000000.00000000\",\"length\":48,\"ttl\":63}\n"
        );
    }

    #[test]
    fn what_was_cut_off_or_is_of_another_header_is_not_said() {
        let cut = json(&packet(&[0x23; 14]));
        assert!(cut.ends_with("\"root_dispersion_s\":8995.137252807617,\"length\":48,\"ttl\":63}\n"), "{cut}");
        let control = json(&packet(&[0x16; 12]));
        assert!(control.ends_with("\"version\":2,\"mode\":6,\"length\":48,\"ttl\":63}\n"), "{control}");
    }
}
