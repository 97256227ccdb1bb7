//! Any bytes as a capture file: each step moves on and stays within the bytes, until the end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::model::InputId;
use ntpscope_core::wire::{CaptureReader, Item};

fuzz_target!(|data: &[u8]| {
    let mut reader = CaptureReader::new(InputId(0));
    let mut rest = data;
    loop {
        let step = reader.step(rest, true);
        if matches!(step.item, Item::End) {
            break;
        }
        assert!(step.consumed > 0, "stuck {} bytes before the end", rest.len());
        rest = &rest[step.consumed..];
    }
});
