//! `w32tm /query /configuration`.

use super::variable;
use crate::model::Row;
use crate::text::{Block, Form, Line, Taken};

/// `w32tm /query /configuration`.
pub(super) const CONFIGURATION: Form = Form {
    name: "w32tm /query /configuration",
    opens: |line| line == "[Configuration]" || line == "[TimeProviders]",
    block: || Box::new(Configuration::default()),
};

/// Where a setting comes from, at the end of its line.
const ORIGINS: [&str; 4] = [" (Local)", " (Policy)", " (Undefined or NotUsed)", " (Defined)"];

#[derive(Default)]
struct Configuration {
    /// `NtpClient`, `NtpServer`, `VMICTimeProvider`; empty for the service itself.
    provider: String,
}

impl Block for Configuration {
    fn line(&mut self, line: Line<'_>, rows: &mut dyn FnMut(Row<'_>)) -> Taken {
        let text = line.text;
        if text.is_empty() {
            return Taken::Yes;
        }
        if let Some(section) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
            self.provider.clear();
            return if matches!(section, "Configuration" | "TimeProviders") { Taken::Yes } else { Taken::No };
        }
        let stripped = ORIGINS.iter().find_map(|origin| text.strip_suffix(origin));
        let bare = stripped.unwrap_or(text);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
        match (bare.split_once(": "), stripped) {
            (Some((name, value)), Some(_)) if is_word(name) => {
                variable(rows, line.at, &self.provider, name, value);
                Taken::Yes
            }
            (Some((name, _)), None) if is_word(name) => {
                Taken::Rejected(format!("{name} does not say where it is set (Local or Policy)"))
            }
            (None, Some(_)) if is_word(bare) => {
                bare.clone_into(&mut self.provider);
                Taken::Yes
            }
            // `NtpServer:  (Local)` is an empty setting.
            (None, Some(_)) if bare.strip_suffix(':').is_some_and(is_word) => Taken::Yes,
            _ => Taken::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::tests::{read, variables};

    #[test]
    fn settings_belong_to_their_provider() {
        let text = "[Configuration]\n\nMaxPollInterval: 10 (Local)\n\n[TimeProviders]\n\nNtpClient (Local)\n\
                    DllName: C:\\Windows\\system32\\w32time.dll (Local)\nNtpServer: ntp.example,0x9 (Policy)\nType: NTP\n";
        let want = [
            "name=MaxPollInterval text=10",
            "subject=NtpClient name=DllName text=C:\\Windows\\system32\\w32time.dll",
            "subject=NtpClient name=NtpServer text=ntp.example,0x9",
        ];
        assert_eq!(variables(text), want);
        assert_eq!(read(text).1, ["line 10: Type does not say where it is set (Local or Policy)"]);
    }
}
