//! `ntpscope exchanges`: one line a request, as a table, CSV or JSON lines.

use crate::exchange::{Exchange, Fate};
use crate::scene::Scene;
use serde_json::json;
use std::fmt::Write;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Columns for people.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Json,
}

/// The first line, where the style has one.
#[must_use]
pub fn header(style: Style) -> Option<&'static str> {
    match style {
        Style::Table => {
            Some("time                     client:port              server           fate        reply s  seen at")
        }
        Style::Csv => Some(
            "time_unix_ns,client,client_port,server,server_port,rewritten_to,rewritten_port,version,mode,length,transmit,fate,response_s,seen_at,answered_at,input,frame",
        ),
        Style::Json => None,
    }
}

/// One request.
#[must_use]
pub fn line(exchange: &Exchange, scene: &Scene, style: Style) -> String {
    let (near, far) = (exchange.near(), exchange.far());
    let rewritten = (near.source != far.source).then_some(far.source);
    // Nearer to the client first, as far as the TTL tells.
    let mut requests: Vec<_> = exchange.requests.iter().collect();
    requests.sort_by_key(|s| (std::cmp::Reverse(s.ttl), s.point));
    let seen: Vec<String> = requests.iter().map(|s| scene.point_name(s.point)).collect();
    let answered: Vec<String> = exchange.replies.iter().map(|(s, _)| scene.point_name(s.point)).collect();
    let fate = exchange.fate;
    match style {
        Style::Table => {
            let stamp = jiff::Timestamp::from_nanosecond(i128::from(near.time.0))
                .map_or_else(|_| near.time.0.to_string(), |t| format!("{t:.3}"));
            let client = format!("{}:{}", near.source.0, near.source.1);
            let reply = exchange.response_s().map_or_else(|| "-".into(), |s| format!("{s:.6}"));
            let mut line = format!(
                "{stamp:<24} {client:<24} {:<16} {:<11} {reply:>8}  {}",
                near.destination.0,
                fate.word(),
                seen.join(" ")
            );
            if let Some((address, port)) = rewritten {
                let _ = write!(line, " as {address}:{port}");
            }
            if let Some(detail) = detail(fate) {
                let _ = write!(line, " ({detail})");
            }
            super::plain(&line).into_owned()
        }
        Style::Csv => format!(
            "{},{},{},{},{},{},{},{},{},{},{:016x},{},{},{},{},{},{}",
            near.time.0,
            near.source.0,
            near.source.1,
            near.destination.0,
            near.destination.1,
            rewritten.map(|r| r.0.to_string()).unwrap_or_default(),
            rewritten.map(|r| r.1.to_string()).unwrap_or_default(),
            exchange.header.version(),
            exchange.header.mode(),
            exchange.length,
            exchange.transmit(),
            fate.word(),
            exchange.response_s().map(|s| format!("{s:.9}")).unwrap_or_default(),
            quoted(&seen.join(" ")),
            quoted(&answered.join(" ")),
            quoted(scene.input_name(near.origin.input)),
            match near.origin.place {
                crate::model::Place::Frame(n) | crate::model::Place::Line(n) => n,
            },
        ),
        Style::Json => json!({
            "time_unix_ns": near.time.0,
            "client": near.source.0.to_string(), "client_port": near.source.1,
            "server": near.destination.0.to_string(), "server_port": near.destination.1,
            "rewritten": rewritten.map(|(address, port)| json!({ "address": address.to_string(), "port": port })),
            "version": exchange.header.version(), "mode": exchange.header.mode(), "length": exchange.length,
            "transmit": format!("{:016x}", exchange.transmit()),
            "fate": fate.word(), "detail": detail(fate), "response_s": exchange.response_s(),
            "duplicates": exchange.duplicate_requests, "interleaved": exchange.interleaved,
            "seen": requests.iter().map(|s| json!({
                "point": scene.point_name(s.point), "at": scene.locate(s.origin), "ttl": s.ttl,
                "source": s.source.0.to_string(), "port": s.source.1,
            })).collect::<Vec<_>>(),
            "answered": exchange.replies.iter().map(|(s, _)| json!({
                "point": scene.point_name(s.point), "at": scene.locate(s.origin), "source": s.source.0.to_string(),
            })).collect::<Vec<_>>(),
        })
        .to_string(),
    }
}

fn detail(fate: Fate) -> Option<String> {
    match fate {
        Fate::Kiss(code) => Some(String::from_utf8_lossy(&code).trim_end_matches('\0').to_owned()),
        Fate::Elsewhere(from) => Some(format!("from {from}")),
        Fate::Misdirected(to) => Some(format!("to {to}")),
        Fate::Error(error, from) => Some(format!("{} by {from}", error.words())),
        _ => None,
    }
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
