//! What would decide an open case best: the expected gain of each piece of evidence that is not at hand, in bits.
//!
//! A sign's weights are log likelihood ratios, so they say how often the sign holds where the cause is at work, and where it
//! is not. With the causes' probabilities that gives the mutual information between the cause and what the piece would show.

use super::is_open;
use crate::causes::{Cause, Weight};
use crate::scene::Scene;
use crate::signs::Case;
use std::net::IpAddr;

/// Who has the evidence.
#[derive(Clone, Copy)]
enum Holder {
    Server,
    Client,
    /// A router, NAT or firewall on the way.
    Device,
}

/// Evidence that somebody could collect.
struct Piece {
    holder: Holder,
    command: &'static str,
    /// The signs that it shows.
    signs: &'static [&'static str],
    /// The places of a silence that it tells apart, in an open case: those of one group look alike to it. What is answered,
    /// and how, it tells apart as well.
    silences: &'static [&'static [&'static str]],
}

const CAPTURE: &str = "sudo tcpdump -ni any -s 0 -w HOST.pcap 'udp port 123 or icmp', while the clients ask";

/// The other places that a capture tells apart.
const ANSWERED: &[&[&str]] = &[&["late"], &["elsewhere"], &["unsynchronised"], &["kiss"], &["error"]];

const PIECES: &[Piece] = &[
    Piece {
        holder: Holder::Server,
        command: CAPTURE,
        signs: &["port-below-123", "port-reserved", "a-port-separates", "a-length-separates"],
        silences: &[&["server"], &["segment", "device"]],
    },
    Piece { holder: Holder::Client, command: CAPTURE, signs: &[], silences: &[&["server", "segment", "device"]] },
    Piece { holder: Holder::Device, command: CAPTURE, signs: &[], silences: &[&["server"], &["segment"], &["device"]] },
    Piece {
        holder: Holder::Server,
        command: "ntpq -c sysstats (chrony: chronyc serverstats), twice, some minutes apart",
        signs: &[
            "bad-format-grew",
            "limited-grew",
            "restricted-grew",
            "declined-grew",
            "daemon-missed-them",
            "daemon-is-there",
            "daemon-answered-them",
            "send-failed",
        ],
        silences: &[],
    },
    Piece {
        holder: Holder::Server,
        command: "ntpq -c 'rv 0 version' (chrony: chronyd -v)",
        signs: &["version"],
        silences: &[],
    },
    Piece {
        holder: Holder::Server,
        command: "cat /etc/ntp.conf /etc/chrony/chrony.conf",
        signs: &["ignore-configured", "limit-configured"],
        silences: &[],
    },
    Piece {
        holder: Holder::Server,
        command: "nft list ruleset; iptables-save -c",
        signs: &["port-rule", "class-rule", "length-rule", "drop-rule"],
        silences: &[],
    },
    Piece {
        holder: Holder::Device,
        command: "nft list ruleset; iptables-save -c",
        signs: &["port-rule", "class-rule", "length-rule", "drop-rule"],
        silences: &[],
    },
    Piece {
        holder: Holder::Device,
        command: "conntrack -L -p udp --dport 123; conntrack -S",
        signs: &["tracked-below-123", "tracked-a-port", "tracking-clashed"],
        silences: &[],
    },
];

/// The piece of evidence that would decide best.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Whose requests are concerned.
    pub server: IpAddr,
    /// On which host it is to be had.
    pub host: String,
    /// How.
    pub command: String,
    /// What it is expected to tell, in bits.
    pub bits: f64,
    /// What is not known, in bits.
    pub open_bits: f64,
}

/// The best piece of evidence for a case with the causes that can explain it and their probabilities.
pub(super) fn best(case: &Case, ranked: &[(&Cause, f64)], scene: &Scene) -> Option<Advice> {
    let unknown = 1.0 - ranked.iter().map(|(_, p)| p).sum::<f64>();
    let prior: Vec<f64> = ranked.iter().map(|(_, p)| *p).chain([unknown.max(0.0)]).collect();
    let open_bits = entropy(&prior);
    let gains = PIECES.iter().map(|piece| (gain(piece, case, ranked, &prior), piece));
    // Of equals the first: pieces stand in the order of what is asked for least.
    let (bits, piece) = gains.fold(None, |best: Option<(f64, &Piece)>, (bits, piece)| match best {
        Some((most, _)) if most >= bits => best,
        _ => Some((bits, piece)),
    })?;
    let host = match piece.holder {
        Holder::Server => scene.name(case.symptom.server),
        Holder::Client => scene.name(*case.symptom.lost.keys().next()?),
        Holder::Device => scene.routers().next().unwrap_or("the router or NAT on the way").to_owned(),
    };
    let command = piece.command.replace("HOST", &host.replace(' ', "-"));
    Some(Advice { server: case.symptom.server, host, command, bits, open_bits }).filter(|advice| advice.bits > 0.0)
}

/// The mutual information between the cause and what a piece would show, in bits.
fn gain(piece: &Piece, case: &Case, ranked: &[(&Cause, f64)], prior: &[f64]) -> f64 {
    let is_known =
        |name: &str| if name == "version" { case.weighed.version.is_some() } else { case.weighed.sign(name).is_some() };
    let signs: Vec<&str> = piece.signs.iter().copied().filter(|name| !is_known(name)).collect();
    // Where the client was captured, it is known that nothing came back.
    let is_at_hand = case.weighed.locus == "beyond" && matches!(piece.holder, Holder::Client);
    let is_told = is_open(case) && !is_at_hand && !piece.silences.is_empty();
    let places: Vec<&[&str]> = piece.silences.iter().chain(ANSWERED).copied().filter(|_| is_told).collect();
    // What each outcome makes of the causes: one for each place and each set of signs that hold.
    let mut outcomes: Vec<Vec<f64>> = match places.len() {
        0 => vec![prior.to_vec()],
        _ => places.iter().map(|group| at(group, &places, ranked, prior)).collect(),
    };
    for name in signs {
        let holds = how_often(name, ranked);
        let split = |outcome: &Vec<f64>, holding: bool| -> Vec<f64> {
            let share = |h: &f64| if holding { *h } else { 1.0 - h };
            outcome.iter().zip(&holds).map(|(p, h)| p * share(h)).collect()
        };
        outcomes = outcomes.iter().flat_map(|outcome| [split(outcome, true), split(outcome, false)]).collect();
    }
    let left: f64 = outcomes.iter().map(|outcome| outcome.iter().sum::<f64>() * entropy(outcome)).sum();
    (entropy(prior) - left).max(0.0)
}

/// The part of each cause's probability that lies at a group of places; a cause is as likely at each of its own.
fn at(group: &[&str], places: &[&[&str]], ranked: &[(&Cause, f64)], prior: &[f64]) -> Vec<f64> {
    let known = |place: &String, among: &[&str]| among.contains(&place.as_str());
    let share = |cause: &Cause| {
        let own = cause.explains.iter().filter(|place| places.iter().any(|among| known(place, among))).count();
        let here = cause.explains.iter().filter(|place| known(place, group)).count();
        if own == 0 { 1.0 / places.len() as f64 } else { here as f64 / own as f64 }
    };
    let shares = ranked.iter().map(|(cause, _)| share(cause)).chain([1.0 / places.len() as f64]);
    prior.iter().zip(shares).map(|(p, share)| p * share).collect()
}

/// How often a sign holds where each cause is at work; last, where none of them is.
fn how_often(name: &str, ranked: &[(&Cause, f64)]) -> Vec<f64> {
    let weights: Vec<Option<&Weight>> =
        ranked.iter().map(|(cause, _)| cause.signs.iter().find(|weight| weight.name == name)).collect();
    let known: Vec<f64> = weights.iter().flatten().map(|weight| likelihoods(weight).1).collect();
    let otherwise = if known.is_empty() { 0.5 } else { known.iter().sum::<f64>() / known.len() as f64 };
    weights.iter().map(|weight| weight.map_or(otherwise, |weight| likelihoods(weight).0)).chain([otherwise]).collect()
}

/// How often a sign holds where the cause is at work, and where not: `p / q = e^holds`, `(1 − p) / (1 − q) = e^fails`.
///
/// Where only one weight is given, the other outcome tells nothing: the sign is rare, or usual.
fn likelihoods(weight: &Weight) -> (f64, f64) {
    const RARE: f64 = 0.05;
    let (holds, fails) = (weight.holds.exp(), weight.fails.exp());
    let q = match (weight.holds, weight.fails) {
        (h, f) if h > 0.0 && f < 0.0 => (1.0 - fails) / (holds - fails),
        (h, _) if h != 0.0 => RARE,
        _ => 1.0 - RARE,
    };
    let p = if weight.holds == 0.0 { 1.0 - (1.0 - q) * fails } else { q * holds };
    (p.clamp(0.01, 0.99), q.clamp(0.01, 0.99))
}

/// Of weights that need not add up to 1, in bits.
fn entropy(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    let term = |w: &f64| if *w > 0.0 { -(w / sum) * (w / sum).log2() } else { 0.0 };
    if sum > 0.0 { weights.iter().map(term).sum() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signs::{LOCI, SIGNS};

    #[test]
    fn pieces_show_signs_and_places_that_there_are() {
        for piece in PIECES {
            assert!(piece.signs.iter().all(|name| SIGNS.iter().any(|(known, _)| known == name)), "{:?}", piece.signs);
            assert!(piece.silences.iter().chain(ANSWERED).all(|group| group.iter().all(|place| LOCI.contains(place))));
        }
    }

    #[test]
    fn the_weights_of_a_sign_say_how_often_it_holds() {
        let weight = |holds: f64, fails: f64| Weight { name: String::new(), holds, fails };
        let (p, q) = likelihoods(&weight(3.0, -7.0));
        assert!((p / q - 3f64.exp()).abs() < 0.2 && ((1.0 - p) / (1.0 - q)) < 0.02, "{p} {q}");
        let (p, q) = likelihoods(&weight(1.0, 0.0));
        assert!(p > q && q < 0.1);
        let (p, q) = likelihoods(&weight(-3.0, 0.0));
        assert!(p < q);
    }

    #[test]
    fn what_tells_two_equal_causes_apart_is_worth_a_bit() {
        assert!((entropy(&[0.5, 0.5]) - 1.0).abs() < 1e-12);
        assert!((entropy(&[2.0, 2.0, 0.0]) - 1.0).abs() < 1e-12);
        assert_eq!(entropy(&[0.0]), 0.0);
    }
}
