//! Any bytes as text, line by line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::model::InputId;
use ntpscope_core::text::TextReader;

fuzz_target!(|data: &[u8]| {
    let mut reader = TextReader::new(InputId(0));
    for line in data.split(|byte| *byte == b'\n') {
        // A reject is an answer too.
        let _reject = reader.line(line, &mut |_row| {});
    }
});
