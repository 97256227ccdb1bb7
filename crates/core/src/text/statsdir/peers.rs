//! `peerstats`: the best sample of a source, when it is new. It is *not* a row per packet (`clock_filter()`).

use super::fields::Fields;
use super::{Before, Kind};
use crate::model::{Peer, Row};

/// `peerstats`: source, status, offset, delay, dispersion, jitter:
/// `192.0.2.1 9614 0.000054394 0.000306203 7.937500062 0.000000000`.
pub const PEERSTATS: Kind = Kind { name: "peerstats", read: peerstats, free: false };

/// Until ntpd 4.1 there was no jitter. Offsets are reference − local already (RFC 5905 §8).
fn peerstats(mut fields: Fields<'_>, before: &mut Before, rows: &mut dyn FnMut(Row<'_>)) -> Option<()> {
    let source = fields.word()?;
    let status = status(fields.word()?)?;
    let offset = fields.number().filter(|number| number.decimals > 0)?;
    let delay = fields.number()?;
    let mut last = fields.number()?;
    let mut peer = Peer {
        status: Some(status),
        tally: Some(TALLIES[usize::from(status >> 8 & 7)]),
        offset_s: Some(offset.value),
        delay_s: Some(delay.value),
        dispersion_s: Some(last.value),
        ..Peer::new(fields.at, source)
    };
    let mut one = delay;
    if !fields.ended() {
        one = last;
        last = fields.number()?;
        peer.jitter_s = Some(last.value);
    }
    // Delay, dispersion and jitter have as many decimals: a last one with fewer was cut.
    let whole = fields.ended() && last.decimals == one.decimals && last.decimals > 0;
    (whole && before.is_source(source)).then(|| rows(Row::Peer(peer)))
}

/// The selection marks of a billboard, by the three selection bits of a peer's status word (RFC 9327 §3.2).
const TALLIES: [char; 8] = [' ', 'x', '.', '-', '+', '#', '*', 'o'];

/// A status word: up to four hexadecimal digits.
pub fn status(word: &str) -> Option<u16> {
    if !matches!(word.len(), 1..=4) {
        return None;
    }
    word.bytes().try_fold(0, |sum, byte| Some(sum << 4 | char::from(byte).to_digit(16)? as u16))
}
