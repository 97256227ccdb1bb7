//! `ntpscope rows --summary`: what was read of each input, and how the offsets of each source lie.

use super::{plain, wrapped};
use crate::digest::Digest;
use crate::model::Origin;
use crate::scene::Scene;
use std::fmt::Write;

/// What each input is and gave, the hosts, and a line for each clock and source; `took_s` is the time to read each input.
#[must_use]
pub fn summary(scene: &Scene, took_s: &[f64], digest: &Digest) -> String {
    let mut out = String::from("INPUTS\n");
    for (input, took) in scene.inputs.iter().zip(took_s) {
        let _ = writeln!(out, "{}", plain(&input.name));
        let kind = if input.kind.is_empty() { "no evidence that is known" } else { &input.kind };
        let host = input.host.as_ref().map(|host| format!(", host {host}"));
        let span = input.span.map(|(first, last)| format!(", {first} to {last}"));
        let about = format!("{kind}{}{}", host.unwrap_or_default(), span.unwrap_or_default());
        let count = format!("{} rows, {} rejects, {took:.3} s", input.rows, input.rejected);
        for text in [about, count].iter().chain(&input.trouble) {
            for line in wrapped(text, "    ", "    ") {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    if !scene.joins().is_empty() || scene.claims().next().is_some() {
        out.push_str("\nHOSTS: names and addresses, and what says so\n");
    }
    let locate = |origin: Option<Origin>| origin.map_or(String::new(), |o| format!(" ({})", plain(&scene.locate(o))));
    for join in scene.joins() {
        let _ =
            writeln!(out, "{:<8} is {} too: {}{}", plain(&join.host), plain(&join.name), join.why, locate(join.origin));
    }
    for (address, claim) in scene.claims() {
        let _ = writeln!(out, "{:<8} is {address}: {}{}", plain(&claim.host), claim.why, locate(claim.origin));
    }
    let mut offsets = digest.iter().peekable();
    if offsets.peek().is_some() {
        out.push_str(
            "\nOFFSETS: reference - local, percentiles within one part in 128\n\
             host     source               rows     mean       sd       1%      50%      99%\n",
        );
    }
    for (host, source, offsets) in offsets {
        let source = if source.is_empty() { "(its clock)" } else { source };
        let _ = write!(out, "{:<8} {:<16} {:>8}", plain(host), plain(source), offsets.count);
        let quantiles = [0.01, 0.5, 0.99].map(|share| offsets.quantiles_s.at(share));
        for value in [Some(offsets.mean_s), offsets.deviation_s()].into_iter().chain(quantiles) {
            let _ = write!(out, " {:>8}", value.map_or_else(|| "-".into(), engineering));
        }
        out.push('\n');
    }
    if digest.others > 0 {
        let _ = writeln!(out, "{} rows of sources that were too many to be told apart", digest.others);
    }
    let sum = |of: fn(&crate::scene::Input) -> u64| scene.inputs.iter().map(of).sum::<u64>();
    let _ = writeln!(
        out,
        "\n{} inputs, {} rows, {} rejects",
        scene.inputs.len(),
        sum(|input| input.rows),
        sum(|input| input.rejected)
    );
    out
}

/// Seconds with three digits and a unit: `-12.3us`.
fn engineering(seconds: f64) -> String {
    let (scale, unit) = match seconds.abs() {
        0.0 => return "0".into(),
        size if size < 1e-6 => (1e9, "ns"),
        size if size < 1e-3 => (1e6, "us"),
        size if size < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    let value = seconds * scale;
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::engineering;

    #[test]
    fn seconds_have_three_digits_and_a_unit() {
        let got = [0.0, -12.34e-6, 999.6e-9, 0.1239, -3.0, 86_400.0].map(engineering);
        assert_eq!(got, ["0", "-12.3us", "1000ns", "124ms", "-3.00s", "86400s"]);
    }
}
