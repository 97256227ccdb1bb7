//! What the text reader makes of tcpdump's output, held against what the wire reader makes of the same capture: every
//! field that the text says must be the wire's, as exactly as it was printed.

use serde_json::{Map, Value};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

/// The rows of a file, as the program prints them.
fn rows(file: &Path) -> Vec<Map<String, Value>> {
    let output = Command::new(env!("CARGO_BIN_EXE_ntpscope")).args(["rows", "--format", "json"]).arg(file).output();
    let output = output.expect("a program that starts");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("not understood"), "{}", file.display());
    text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

/// Whether what was printed is what was seen.
fn agrees(name: &str, said: &Value, seen: Option<&Value>) -> bool {
    let stamp = |value: &Value| u64::from_str_radix(&value.as_str()?.replace('.', ""), 16).ok();
    match (name, seen) {
        ("line" | "input" | "host", _) => true,
        (_, None) => false,
        // Printed with nine digits, of which each is 4.3 units of the fraction.
        ("reference" | "originate" | "receive" | "transmit", Some(seen)) => {
            matches!((stamp(said), stamp(seen)), (Some(said), Some(seen)) if said.abs_diff(seen) <= 4)
        }
        // Printed with six digits, cut off.
        ("root_delay_s" | "root_dispersion_s", Some(seen)) => {
            matches!((said.as_f64(), seen.as_f64()), (Some(said), Some(seen)) if (0.0..1e-6).contains(&(seen - said)))
        }
        ("refid", Some(seen)) => {
            let hex = said.as_str().and_then(|text| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok());
            hex.map_or(said == seen, |bits| Some(Ipv4Addr::from(bits).to_string().as_str()) == seen.as_str())
        }
        (_, Some(seen)) => said == seen,
    }
}

#[test]
fn text_of_tcpdump_says_what_its_capture_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        return println!("skipped: ../shared/corpus is not here");
    }
    let mut compared = (0, 0);
    for (text, capture) in [
        ("ntp.out", "ntp.pcap"),
        ("ntp-v.out", "ntp.pcap"),
        ("ntp-control--v.out", "ntp-control.pcap"),
        ("ntp-mode7--v.out", "ntp-mode7.pcap"),
        ("ntp-time-ef--vvv.out", "ntp-time-ef.pcap"),
    ] {
        let name = |folder, file| corpus.join(format!("{folder}/the-tcpdump-group_tcpdump__tests__{file}"));
        let (said, seen) = (rows(&name("tcpdump-text", text)), rows(&name("pcap", capture)));
        assert!(!said.is_empty(), "{text}");
        assert_eq!(said.len(), seen.len(), "{text}");
        for (n, (said, seen)) in said.iter().zip(&seen).enumerate() {
            for (name, value) in said {
                let other = seen.get(name);
                assert!(agrees(name, value, other), "{text}, packet {}: {name} is {value}, but {other:?} seen", n + 1);
                compared.1 += 1;
            }
            compared.0 += 1;
        }
    }
    println!("{} packets, {} fields compared", compared.0, compared.1);
}
