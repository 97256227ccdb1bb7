//! `chronyc sourcestats`.

use super::{fields, first_fields, interval_s, is_filler, is_header, is_name, seconds};
use crate::model::{At, Peer, Row};
use crate::text::field::{integer, number};
use crate::text::{Block, Form, Line, Taken};

/// `chronyc sourcestats`, with or without `-v` and `-a`.
pub(super) const SOURCESTATS: Form = Form { name: "chronyc sourcestats", opens, block: || Box::new(Sourcestats) };

/// Samples that a regression needs (chrony `regress.h`, MIN_SAMPLES_FOR_REGRESS); with fewer, frequency, skew and
/// standard deviation are what chronyd began with.
const MOST_UNFITTED: i64 = 2;

fn opens(line: &str) -> bool {
    is_sourcestats_header(line)
        || line.trim_start().starts_with(".- Number of sample points")
        || Cells::of_fields(line).is_some()
}

fn is_sourcestats_header(line: &str) -> bool {
    is_header(line, &["Name/IP", "Address", "NP", "NR", "Span"])
}

struct Sourcestats;

impl Block for Sourcestats {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if is_filler(line.text) || is_sourcestats_header(line.text) {
            return Taken::Yes;
        }
        let Some(cells) = Cells::of_fields(line.text).or_else(|| Cells::of_row(line.text)) else { return Taken::No };
        match cells.peer(line.at) {
            Ok(peer) => {
                rows(Row::Peer(peer));
                Taken::Yes
            }
            Err(reason) => Taken::Rejected(reason),
        }
    }
}

/// Name, NP, NR, Span, Frequency, Freq Skew, Offset, Std Dev.
struct Cells<'a>([&'a str; 8]);

impl<'a> Cells<'a> {
    fn of_row(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut cells = [""; 8];
        for cell in &mut cells {
            *cell = words.next()?;
        }
        let [name, samples, runs, ..] = cells;
        let is_row = words.next().is_none() && is_name(name) && integer(samples).is_some() && integer(runs).is_some();
        is_row.then_some(Cells(cells))
    }

    /// `-c`: the same eight, of which the last four have a point.
    fn of_fields(line: &'a str) -> Option<Self> {
        let ([name, samples, runs, span], rest) = first_fields::<4>(line)?;
        let counts = [samples, runs, span].iter().all(|whole| integer(whole).is_some());
        let measures = counts && rest.clone().all(|field| field.contains('.') && number(field).is_some());
        if !measures || !is_name(name) || number(name).is_some() {
            return None;
        }
        fields::<8>(line).map(Cells)
    }

    fn peer(&self, at: At<'a>) -> Result<Peer<'a>, String> {
        let [source, samples, _, span, frequency, skew, offset, deviation] = self.0;
        interval_s(span).ok_or_else(|| format!("span `{span}` is not an interval"))?;
        let number = |text: &str, name| number(text).ok_or_else(|| format!("{name} `{text}` is not a number"));
        let time = |text: &str, name| seconds(text).ok_or_else(|| format!("{name} `{text}` is not a time"));
        let (frequency, skew) = (number(frequency, "frequency")?, number(skew, "skew")?);
        let (offset, deviation) = (time(offset, "offset")?, time(deviation, "deviation")?);
        let samples = integer(samples).unwrap_or_default();
        let fitted = samples > MOST_UNFITTED;
        Ok(Peer {
            // Both are what the local clock gains or has gained on the source: positive is a fast local clock
            // (`estimated_frequency` and `offsets` in chrony's sourcestats.c).
            frequency_ppm: fitted.then_some(0.0 - frequency),
            offset_s: (samples > 0).then_some(0.0 - offset),
            wander_ppm: fitted.then_some(skew),
            jitter_s: fitted.then_some(deviation),
            ..Peer::new(at, source)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    #[test]
    fn a_local_clock_that_gains_is_fast_and_its_source_slow() {
        let text = "   .- Number of sample points in measurement set.\n  /    .- Number\n\
                    Name/IP Address            NP  NR  Span  Frequency  Freq Skew  Offset  Std Dev\n=====\n\
                    192.0.2.2   45  26   46m     +0.125      0.023     -5us  2435ns\n\
                    PPS0         0   0     0     +0.000   2000.000     +0ns  4000ms\n\
                    192.0.2.4    2   0     8     +0.000   2000.000    +12ms  4000ms\n...\n\
                    192.0.2.5   45  26   186   quick      0.023     +0ns  2435ns\n\
                    192.0.2.6,4,3,20,-0.100,0.200,0.000000300,0.000000400\n";
        let want = [
            "source=192.0.2.2 offset_s=5e-6 jitter_s=2.435e-6 frequency_ppm=-0.125 wander_ppm=0.023",
            "source=PPS0",
            "source=192.0.2.4 offset_s=-0.012",
            "source=192.0.2.6 offset_s=-3e-7 jitter_s=4e-7 frequency_ppm=0.1 wander_ppm=0.2",
        ];
        assert_eq!(peers(text), want);
        assert_eq!(read(text).1, ["line 9: frequency `quick` is not a number"]);
        assert_eq!(read(text).2, ["chronyc sourcestats"]);
    }
}
