//! Templates of configurations (Jinja, Go, ERB, EPP), as configuration management keeps them: their own lines are passed
//! over, and a directive that holds a placeholder is still a directive.

/// How a passage in a template's own language begins and ends.
const MARKS: [(&str, &str); 4] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}"), ("<%", "%>")];

/// Whether a line holds any passage of a template.
pub fn holds_template(line: &str) -> bool {
    line.contains(['{', '<']) && MARKS.iter().any(|(begin, _)| line.contains(begin))
}

/// What ends the passage that a line begins and does not end.
pub fn left_open(line: &str) -> Option<&'static str> {
    if !line.contains(['{', '<']) {
        return None;
    }
    MARKS.iter().find(|(begin, end)| line.rfind(begin).is_some_and(|at| line.rfind(end) < Some(at))).map(|(_, end)| *end)
}
