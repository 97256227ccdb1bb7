//! Templates of configurations (Jinja, Go, ERB, EPP, shell), as configuration management keeps them: their own lines are
//! passed over, and a directive that holds a placeholder is still a directive.

use super::super::{Block, Form, Line, Taken, is_template};
use super::directives::Directives;
use crate::model::Row;

/// How a passage in a template's own language begins and ends.
const MARKS: [(&str, &str); 5] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}"), ("<%", "%>"), ("${", "}")];

/// More lines than these are no passage: its end is missing.
const MOST_LINES: u32 = 100;

/// Lines of a template's own language before the first directive, which may stand in their blocks, indented.
pub const TEMPLATE: Form = Form {
    name: "ntp.conf or chrony.conf",
    opens: |line| is_template(line.trim_start()),
    block: || Box::new(Heading::default()),
};

/// Those lines, up to a directive at the left, which says itself whose it is.
#[derive(Default)]
struct Heading {
    directives: Directives,
    passage: Passage,
    /// Whether a directive was met, indented.
    met: bool,
}

impl Block for Heading {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let goes_on = self.passage.goes_on(line.text);
        if !goes_on {
            self.passage.begin(line.text);
        }
        let bare = line.text.trim_start();
        let directive = !goes_on && !bare.is_empty() && !bare.starts_with('#') && !is_template(bare);
        if directive && !self.met && bare.len() == line.text.len() {
            return Taken::No;
        }
        self.met |= directive;
        self.directives.line(line, rows)
    }

    fn sure(&self) -> bool {
        self.directives.sure()
    }

    fn end(&mut self, rows: &mut dyn FnMut(Row<'_>)) {
        self.directives.end(rows);
    }
}

/// The passage that we are in, if any.
#[derive(Default)]
pub struct Passage {
    /// What ends it.
    end: Option<&'static str>,
    lines: u32,
}

impl Passage {
    /// Notes the passage that a line leaves open.
    pub fn begin(&mut self, line: &str) {
        *self = Passage { end: left_open(line), lines: 0 };
    }

    /// Whether a line is still the passage's.
    pub fn goes_on(&mut self, line: &str) -> bool {
        let Some(end) = self.end else { return false };
        self.lines += 1;
        if let Some((_, after)) = line.split_once(end) {
            self.begin(after);
        } else if self.lines > MOST_LINES {
            *self = Passage::default();
            return false;
        }
        true
    }
}

/// Whether a line holds any passage of a template.
pub fn holds_template(line: &str) -> bool {
    next_passage(line).is_some()
}

/// A line with each passage of a template replaced.
pub fn filled(line: &str, with: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(line.len()), line);
    while let Some((before, inside, end)) = next_passage(rest) {
        out.push_str(before);
        let Some((_, after)) = inside.split_once(end) else {
            rest = "";
            break;
        };
        // `{% if x %}` stands for nothing by itself.
        let marks = &rest[before.len()..];
        if !marks.starts_with("{%") && !marks.starts_with("{#") {
            out.push_str(with);
        }
        rest = after;
    }
    out + rest
}

/// What ends the passage that a line begins and does not end.
fn left_open(line: &str) -> Option<&'static str> {
    let mut rest = line;
    while let Some((_, inside, end)) = next_passage(rest) {
        let Some((_, after)) = inside.split_once(end) else { return Some(end) };
        rest = after;
    }
    None
}

/// What stands before the first mark of a passage and after it, and what will end it.
fn next_passage(line: &str) -> Option<(&str, &str, &'static str)> {
    let at = |begin: &str| {
        line.match_indices(begin).map(|(at, _)| at).find(|at| {
            // EPP's code may open a brace where the passage ends: `<% if $x {%>`.
            !line[at + begin.len()..].starts_with('>')
        })
    };
    let (from, begin, end) = MARKS.iter().filter_map(|(begin, end)| Some((at(begin)?, *begin, *end))).min()?;
    Some((line.get(..from)?, line.get(from + begin.len()..)?, end))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::read;
    use super::*;

    #[test]
    fn passages_may_go_on_over_lines() {
        assert_eq!(left_open("{{ 'pool' if x else 'server' }} {{"), Some("}}"));
        assert_eq!(left_open("{% if a and"), Some("%}"));
        assert_eq!(left_open("server <%= $server %><% if $x {%> iburst<% } %>"), None);
        assert_eq!(left_open("pool {{pool}} iburst {# ours #}"), None);
        assert_eq!(filled("server ${A}{% if x %} key {{ k }}{% endif %}", "1"), "server 1 key 1");
    }

    #[test]
    fn passages_before_the_first_directive_are_passed_over() {
        let text = "# ours\n{% set servers = [\n  '192.0.2.1',\n  '192.0.2.2'\n] %}{# and\n more #}\n\
                    driftfile /var/lib/ntp/drift\n{% for s in servers %}\nserver {{ s }}\n{% endfor %}\n";
        let (rows, rejects, forms) = read(text);
        assert_eq!((rows.len(), rejects.len(), forms), (2, 0, vec!["ntp.conf"]));
        assert_eq!(read("{% set a = [\n 1\n] %}\nnobody's\n").1, ["line 4: no reader knows this line"]);
        let indented = "{% for s in servers %}\n  server {{ s.name }} iburst\n{% endfor %}\n";
        assert_eq!(read(indented).0, ["directive who=ntpd name=server text={{ s.name }} iburst"]);
        for other in ["  server {{ name }} {{ ip }}:80 check", "  server {{ ip }}:{{ port }};", "user {{ user }};"] {
            let text = format!("{{% for s in servers %}}\n{other}\n{{% endfor %}}\n");
            assert_eq!((read(&text).0.len(), read(&text).2.len()), (0, 0), "{other}");
        }
        let endless = format!("{{% set a = [\n{}", "x\n".repeat(150));
        assert_eq!(read(&endless).1.len(), 50);
    }
}
