//! The state that ntpd-rs writes to its observation socket, on one line or laid out over many (`jq`).

use super::{COUNTS, MOST, Served, Source, System};
use crate::model::{At, Event, Row, What};
use crate::text::{Block, Form, Line, Taken};
use crate::time::Time;
use serde_json::Value;

/// The state as JSON.
pub(super) const OBSERVATION: Form =
    Form { name: "ntpd-rs observation", opens, block: || Box::new(Observation::default()) };

/// Longest state that is read: a source takes half a kilobyte.
const LONGEST: usize = 1 << 20;

/// `{"program":{…`; laid out, the first brace stands alone and is nobody's. `jq -S` puts the program first too.
fn opens(line: &str) -> bool {
    let bare = line.trim_start();
    let bare = bare.strip_prefix('{').unwrap_or(bare).trim_start();
    let Some(program) = bare.strip_prefix("\"program\"") else { return false };
    // The members of the program are enough of a mark, where they are on the line.
    program.trim_start().strip_prefix(':').is_some_and(|object| {
        let object = object.trim_start();
        object == "{" || (object.starts_with('{') && object.contains("\"build_commit\""))
    })
}

#[derive(Default)]
struct Observation {
    text: String,
    /// Braces that are open.
    depth: u32,
    /// Whether the state has ended.
    whole: bool,
}

impl Block for Observation {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        if self.whole {
            return Taken::No;
        }
        if self.text.is_empty() && !line.text.trim_start().starts_with('{') {
            self.text.push('{');
            self.depth = 1;
        }
        if self.text.len() + line.text.len() > LONGEST {
            self.whole = true;
            return Taken::Rejected(format!("a state of ntpd-rs is longer than {LONGEST} bytes"));
        }
        self.text.push_str(line.text);
        self.count(line.text);
        if !self.whole {
            return Taken::Yes;
        }
        let state = serde_json::from_str::<Value>(&self.text).ok();
        match state.as_ref().filter(|state| state["system"].is_object()) {
            Some(state) => {
                give(state, line, rows);
                Taken::Yes
            }
            None => Taken::Rejected("the lines up to here are no state of ntpd-rs".into()),
        }
    }
}

impl Observation {
    /// Follows the braces; strings end on the line that they begin on.
    fn count(&mut self, text: &str) {
        let (mut quoted, mut escaped) = (false, false);
        for byte in text.bytes() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'{' if !quoted => self.depth += 1,
                b'}' if !quoted => {
                    self.depth = self.depth.saturating_sub(1);
                    self.whole |= self.depth == 0;
                }
                _ => {}
            }
        }
    }
}

/// Gives the rows of a state, on its last line.
fn give(state: &Value, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) {
    let (program, system) = (&state["program"], &state["system"]);
    // `now` came with ntpd-rs 1.5, in NTP's time.
    let now = program["now"]["timestamp"].as_u64().filter(|now| *now != 0);
    let at = At { time: now.map(|now| Time::from_ntp(now, line.written)), ..line.at };
    let variable = |rows: &mut dyn FnMut(Row<'_>), name, value: &str| {
        rows(Row::Event(Event { at, what: What::Variable { association: "", name, value } }));
    };
    let gauge = |rows: &mut dyn FnMut(Row<'_>), name, value: &Value| {
        let gauge = value.as_f64().map(|value| What::Gauge { of: "", name, value });
        gauge.into_iter().for_each(|what| rows(Row::Event(Event { at, what })));
    };
    if let Some(version) = program["version"].as_str() {
        variable(rows, "version", version);
    }
    gauge(rows, "uptime_s", &program["uptime_seconds"]);
    gauge(rows, "accumulated_steps_s", &system["accumulated_steps"]);
    if let Some(refid) = system["reference_id"].as_u64() {
        variable(rows, "refid", &format!("{refid:08X}"));
    }
    let leap = match system["leap_indicator"].as_str() {
        Some("NoWarning") => Some(0),
        Some("Leap61") => Some(1),
        Some("Leap59") => Some(2),
        Some("Unknown" | "Unsynchronized") => Some(3),
        _ => None,
    };
    System {
        stratum: system["stratum"]
            .as_u64()
            .and_then(|stratum| u8::try_from(stratum).ok())
            .filter(|stratum| *stratum <= 16),
        leap,
        poll_s: exponent(&system["poll_interval"]),
        root_delay_s: system["root_delay"].as_f64(),
        root_dispersion_s: system["root_dispersion"].as_f64(),
    }
    .give(at, rows);
    for source in state["sources"].as_array().into_iter().flatten().take(MOST) {
        // ntpd-rs 1.0 wrapped each in `Observable`, and wrote `Nothing` for one that was gone.
        let source = source.get("Observable").unwrap_or(source);
        if source.is_object() {
            source_of(source).give(at, rows);
        }
    }
    let mut served = Served::default();
    for server in state["servers"].as_array().into_iter().flatten().take(MOST) {
        for (name, _) in COUNTS {
            let suffix = if name == "response_send_errors" { "" } else { "_packets" };
            let count = &server["stats"][format!("{name}{suffix}")];
            let count = count.as_u64().or_else(|| count["value"].as_u64());
            if let Some(count) = count {
                served.add(name, count, at.origin);
            }
        }
    }
    served.give(at.time, rows);
}

/// A power of two.
fn exponent(value: &Value) -> Option<f64> {
    value.as_i64().filter(|log| (-32..=32).contains(log)).map(|log| (log as f64).exp2())
}

fn source_of(source: &Value) -> Source {
    let text = |name: &str| source[name].as_str().unwrap_or_default().to_owned();
    Source {
        name: text("name"),
        address: text("address"),
        offset_s: source["offset"].as_f64(),
        uncertainty_s: source["uncertainty"].as_f64(),
        delay_s: source["delay"].as_f64(),
        poll_s: exponent(&source["poll_interval"]),
        unanswered: source["unanswered_polls"].as_f64(),
        root_delay_s: source["remote_delay"].as_f64(),
        root_dispersion_s: source["remote_uncertainty"].as_f64(),
        cookies: source["nts_cookies"].as_f64(),
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{peers, read};

    const STATE: &str = r#"{"program":{"version":"1.6.2","build_commit":"{}","build_commit_date":"-","uptime_seconds":12.5,"now":{"timestamp":17198462012736037578}},
        "system":{"stratum":3,"reference_id":3221225985,"precision":3.8e-6,"root_delay":0.0057,"leap_indicator":"NoWarning","accumulated_steps":0.25},
        "sources":[{"offset":-0.0229,"uncertainty":0.0002,"delay":0.0047,"remote_delay":0.0014,"remote_uncertainty":0.1035,
        "last_update":{"timestamp":17198462012736037578},"unanswered_polls":0,"poll_interval":4,"nts_cookies":null,"name":"ntp.example:123",
        "address":"192.0.2.1:123","id":1}],"servers":[{"address":"0.0.0.0:123","stats":{"received_packets":5,"rate_limited_packets":2}}]}"#;

    #[test]
    fn one_line_or_many_are_the_same_state() {
        let one: String = STATE.lines().map(str::trim).collect();
        let value: serde_json::Value = serde_json::from_str(&one).expect("JSON");
        let many = serde_json::to_string_pretty(&value).expect("JSON");
        let (rows, rejects, forms) = read(&one);
        assert_eq!((rejects.len(), forms), (0, vec!["ntpd-rs observation"]));
        assert_eq!(read(&many), (rows.clone(), vec![], vec!["ntpd-rs observation"]));
        let time = "time=2026-11-22T09:36:20.281957792Z";
        assert_eq!(rows[0], format!("{time} variable name=version text=1.6.2"));
        assert_eq!(rows[4], format!("clock {time} stratum=3 leap=0 root_delay_s=0.0057"));
        let want = "source=192.0.2.1 poll_s=16 offset_s=-0.0229 delay_s=0.0047 jitter_s=0.0002 root_delay_s=0.0014 \
                    root_dispersion_s=0.1035";
        assert_eq!(peers(&one), [format!("{time} {want}")]);
        let (odd, _, _) = read(&one.replace("\"stratum\":3", "\"stratum\":17"));
        assert_eq!(odd[4], format!("clock {time} leap=0 root_delay_s=0.0057"));
        assert!(rows.contains(&format!("{time} counter name=limited value=2")), "{rows:?}");
    }

    #[test]
    fn broken_or_other_json_gives_no_rows() {
        assert_eq!(
            read("{\n\"program\": {\n},\n\"other\": 1\n}").1,
            ["line 5: the lines up to here are no state of ntpd-rs"]
        );
        assert_eq!(read("{\"program\":{\"name\":\"x\"}}").2.len(), 0);
        assert_eq!(read("{\n\"program\": {\n").0.len(), 0);
    }
}
