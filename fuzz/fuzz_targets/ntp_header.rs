//! Any bytes as an NTP packet: the header keeps every bit that was captured.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::wire::ntp::{HEADER, Header};

fuzz_target!(|data: &[u8]| {
    let Some(header) = Header::read(data) else {
        assert!(data.is_empty(), "no header in {} bytes", data.len());
        return;
    };
    let captured = data.len().min(HEADER);
    assert_eq!(header.bytes()[..captured], data[..captured]);
});
