//! Any text as the evidence of two hosts: all that follows from its rows, to the printed report.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ntpscope_core::diagnosis::diagnose;
use ntpscope_core::digest::Digest;
use ntpscope_core::exchange::{Alignment, Tally};
use ntpscope_core::model::{InputId, Row};
use ntpscope_core::render::pcapng::Pcapng;
use ntpscope_core::render::{Coverage, json, statsdir, summary, text};
use ntpscope_core::rules::{Material, Summaries, Summary};
use ntpscope_core::scene::{Input, Scene};
use ntpscope_core::text::TextReader;
use ntpscope_core::time::Time;

/// 2026-11-24T00:00:00Z
const WRITTEN: Time = Time(1_795_478_400_000_000_000);

/// Parts the evidence of one host from that of the next: no text has it.
const NEXT: u8 = 0x1c;

fuzz_target!(|data: &[u8]| {
    let (mut inputs, mut rules, mut digest) = (Vec::new(), Summaries::default(), Digest::default());
    for (number, evidence) in data.splitn(4, |byte| *byte == NEXT).enumerate() {
        let host = format!("host{}", number / 2);
        let mut reader = TextReader::new(InputId(number as u32), WRITTEN);
        let mut folded = Summaries::default();
        let mut input = Input { name: format!("{host}/{number}"), host: Some(host.clone()), ..Input::default() };
        for line in evidence.split(|byte| *byte == b'\n') {
            let reject = reader.line(line, &mut |row| fold(&row, &host, &mut folded, &mut digest));
            reject.into_iter().for_each(|reject| input.reject(reject));
        }
        reader.end(&mut |row| fold(&row, &host, &mut folded, &mut digest));
        input.kind = reader.forms.join(", ");
        rules.merge(folded);
        inputs.push(input);
    }
    let mut scene = Scene::of(inputs);
    let took_s = vec![0.0; scene.inputs.len()];
    assert!(!summary::summary(&scene, &took_s, &digest).is_empty());

    let diagnosis = diagnose(&rules, &mut scene);
    for d in &diagnosis.diagnoses {
        assert!((0.0..=1.0).contains(&d.probability), "{} for {}", d.probability, d.cause);
    }
    let (tally, alignment) = (Tally::default(), Alignment::default());
    let coverage = Coverage { scene: &scene, tally: &tally, alignment: &alignment };
    let report = text::report(&diagnosis, coverage);
    let odd = report.chars().find(|c| c.is_control() && *c != '\n');
    assert!(odd.is_none(), "{odd:?} in the report");
    assert!(json::report(&diagnosis, coverage).is_object());
});

/// What the verbs do with a row.
fn fold(row: &Row<'_>, host: &str, rules: &mut Summaries, digest: &mut Digest) {
    rules.fold(Material::Row(row));
    digest.fold(if row.at().host.is_empty() { host } else { row.at().host }, row);
    let (mut lines, mut bytes) = (String::new(), Vec::new());
    match row {
        Row::Clock(clock) => _ = statsdir::loopstats(clock, &mut lines),
        Row::Peer(peer) => _ = statsdir::peerstats(peer, &mut lines),
        Row::Packet(packet) => {
            let _ = statsdir::rawstats(packet, &mut lines);
            let _ = Pcapng::new(&mut bytes).row(host, packet, &mut bytes);
        }
        Row::Event(_) => {}
    }
    assert!(lines.is_empty() || lines.ends_with('\n') && lines.lines().count() == 1, "{lines:?}");
}
