//! Templates of configurations (Jinja, Go, ERB, EPP), as configuration management keeps them: their own lines are passed
//! over, and a directive that holds a placeholder is still a directive.

/// How a passage in a template's own language begins and ends.
const MARKS: [(&str, &str); 4] = [("{{", "}}"), ("{%", "%}"), ("{#", "#}"), ("<%", "%>")];

/// Whether a line holds any passage of a template.
pub fn holds_template(line: &str) -> bool {
    next_passage(line).is_some()
}

/// What ends the passage that a line begins and does not end.
pub fn left_open(line: &str) -> Option<&'static str> {
    let mut rest = line;
    while let Some((inside, end)) = next_passage(rest) {
        let Some((_, after)) = inside.split_once(end) else { return Some(end) };
        rest = after;
    }
    None
}

/// What follows the first mark of a passage, and what will end it.
fn next_passage(line: &str) -> Option<(&str, &'static str)> {
    let at = |begin: &str| {
        line.match_indices(begin).map(|(at, _)| at).find(|at| {
            // EPP's code may open a brace where the passage ends: `<% if $x {%>`.
            !line[at + begin.len()..].starts_with('>')
        })
    };
    let first = MARKS.iter().filter_map(|(begin, end)| Some((at(begin)? + begin.len(), *end))).min()?;
    Some((line.get(first.0..)?, first.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_may_go_on_over_lines() {
        assert_eq!(left_open("{{ 'pool' if x else 'server' }} {{"), Some("}}"));
        assert_eq!(left_open("{% if a and"), Some("%}"));
        assert_eq!(left_open("server <%= $server %><% if $x {%> iburst<% } %>"), None);
        assert_eq!(left_open("pool {{pool}} iburst {# ours #}"), None);
    }
}
