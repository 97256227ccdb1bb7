//! How the columns of a billboard lie.

/// Columns that follow the names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// `apeers`: the association's id.
    Assid,
    /// Junos: how the source authenticates.
    Auth,
    Stratum,
    /// Unicast, broadcast, local …; NTPsec: the number of NTS cookies.
    Kind,
    When,
    Poll,
    Reach,
    Delay,
    Offset,
    Jitter,
    /// In `opeers`, in ntpdc, and until ntpd 4.1.
    Dispersion,
    RootDelay,
    RootDispersion,
}

/// As headers name them; a column's number is its place here.
pub const COLUMNS: [(&str, Column); 13] = [
    ("assid", Column::Assid),
    ("auth", Column::Auth),
    ("st", Column::Stratum),
    ("t", Column::Kind),
    ("when", Column::When),
    ("poll", Column::Poll),
    ("reach", Column::Reach),
    ("delay", Column::Delay),
    ("offset", Column::Offset),
    ("jitter", Column::Jitter),
    ("disp", Column::Dispersion),
    ("rootdelay", Column::RootDelay),
    ("rootdisp", Column::RootDispersion),
];

/// How the columns of one billboard lie.
#[derive(Default)]
pub struct Layout {
    /// Where the tally stands: right of the names of servers, which are printed where several were asked.
    pub tally: usize,
    /// Whether several servers were asked, so that their names stand leftmost.
    pub servers: bool,
    /// Whether the local address stands in place of the refid.
    pub local: bool,
    /// NTPsec's `rpeers`: refid, tally and name come last.
    pub reverse: bool,
    pub columns: Vec<Column>,
}

impl Layout {
    /// What a header says; `None` where `line` is none.
    pub fn of(line: &str) -> Option<Layout> {
        let at = line.find("remote")?;
        let (before, names) = line.split_at_checked(at)?;
        let reverse = names.len() == "remote".len();
        let mut layout = Layout { reverse, ..Layout::default() };
        let names = if reverse {
            before.trim_end().strip_suffix('T')?.trim_end().strip_suffix("refid")?
        } else {
            let lead = before.trim();
            layout.servers = ["server", "host"].iter().any(|word| lead.starts_with(word));
            // Pages show billboards, too.
            if !(lead.is_empty() || layout.servers || (lead.starts_with('<') && lead.ends_with('>'))) {
                return None;
            }
            // A tally, fourteen characters of the name; the word is centred.
            layout.tally = at.saturating_sub(5);
            let names = names.strip_prefix("remote")?.trim_start();
            layout.local = names.starts_with("local ");
            names.strip_prefix(if layout.local { "local " } else { "refid " })?
        };
        for name in names.split_whitespace() {
            let (_, column) = COLUMNS.iter().find(|(known, _)| *known == name)?;
            if layout.has(*column) {
                return None;
            }
            layout.columns.push(*column);
        }
        use Column::{Delay, Dispersion, Jitter, Kind, Offset, Poll, Reach, Stratum, When};
        let has = |columns: &[Column]| columns.iter().all(|column| layout.has(*column));
        let fits = has(&[Stratum, Poll, Reach, Delay, Offset])
            && (layout.has(Jitter) || layout.has(Dispersion))
            && layout.has(Kind) == layout.has(When);
        fits.then_some(layout)
    }

    pub fn has(&self, column: Column) -> bool {
        self.columns.contains(&column)
    }

    /// ntpdc has no column `when`, and prints seconds (ntpdc_ops.c, `dopeers`).
    pub fn in_seconds(&self) -> bool {
        !self.has(Column::When)
    }
}

/// The tally, and what follows it. ntpdc marks the mode of an association instead: `=`, `^`, `~`.
pub fn tally(text: &str) -> (char, &str) {
    let names = text.trim_start();
    let mut rest = names.chars();
    match rest.next() {
        // Lines lose their indentation, or get one.
        Some(mark @ ('*' | '+' | '-' | '#' | '.' | '=' | '^' | '~')) => (mark, rest.as_str().trim_start()),
        Some(mark @ ('x' | 'o')) if names.len() == text.len() => (mark, rest.as_str().trim_start()),
        _ => (' ', names),
    }
}

/// Takes the last word off `rest`. Numbers are parted from the negative number that fills its column after them.
pub fn last_word<'a>(rest: &mut &'a str, column: Column) -> Option<&'a str> {
    let text = rest.trim_end();
    let mut start = text.rsplit_once(char::is_whitespace).map_or(0, |(_, word)| text.len() - word.len());
    if matches!(column, Column::Offset | Column::Jitter | Column::Dispersion) {
        let minus = text[start..].rfind('-').map_or(0, |at| at + start);
        if minus > start && text[..minus].ends_with(|c: char| c.is_ascii_digit() || c == '.') {
            start = minus;
        }
    }
    let (before, word) = text.split_at_checked(start)?;
    *rest = before;
    (!word.is_empty()).then_some(word)
}

/// An interval as ntpq's `prettyinterval` prints it (`-`, `64`, `137m`, `5h`, `4d`, `1y`), in seconds.
pub fn interval_s(text: &str) -> Option<f64> {
    if text == "-" {
        return Some(0.0);
    }
    let unit = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('y', 31_557_600)]
        .into_iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit).map(|number| (number, scale)));
    let (number, scale) = unit.unwrap_or((text, 1));
    number.parse::<u32>().ok()?.checked_mul(scale).map(f64::from)
}
