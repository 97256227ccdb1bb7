//! Configurations of time daemons.
//!
//! `ntp.conf`, `chrony.conf` and OpenNTPD's `ntpd.conf` begin alike, so one block reads all three ([`directives`]) and
//! holds its rows back until a line says whose language it is; [`words`] knows the words of each.

mod directives;
mod template;
mod timesyncd;
mod toml;
mod words;

use super::{Form, forms};
use crate::model::Daemon;
use directives::Directives;
use words::{Sign, language, sign};

/// What this module reads.
pub const FORMS: &[Form] = &[NTPD, CHRONY, OPENNTPD, EITHER, toml::NTPD_RS, timesyncd::TIMESYNCD, template::TEMPLATE];

/// A configuration of ntpd (ntp.conf(5)), as its first line says.
const NTPD: Form = Form {
    name: "ntp.conf",
    opens: |line| opens(line) && language(line) == Some(Daemon::Ntpd),
    block: || Box::new(Directives::default()),
};

/// A configuration of chronyd (chrony.conf(5)), as its first line says.
const CHRONY: Form = Form {
    name: "chrony.conf",
    opens: |line| opens(line) && language(line) == Some(Daemon::Chrony),
    block: || Box::new(Directives::default()),
};

/// A configuration of OpenNTPD (ntpd.conf(5) of OpenBSD), as its first line says.
const OPENNTPD: Form = Form {
    name: "ntpd.conf of OpenNTPD",
    opens: |line| opens(line) && language(line) == Some(Daemon::OpenNtpd),
    block: || Box::new(Directives::default()),
};

/// A configuration of which the first line does not say whose it is.
const EITHER: Form = Form {
    name: "ntp.conf or chrony.conf",
    opens: |line| opens(line) && language(line).is_none(),
    block: || Box::new(Directives::default()),
};

/// Whether a line may begin a configuration: nothing stands before its first word, which programs and people write small.
fn opens(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_lowercase()) && sign(line) != Sign::Nothing
}

/// Whether a line begins a block of another family: comments of ours may be headings of theirs.
fn begins_another(line: &str) -> bool {
    let is_conf = |form: &Form| FORMS.iter().any(|own| own.name == form.name);
    forms().any(|form| !is_conf(form) && (form.opens)(line))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    /// A row without the words that all have.
    fn rows(text: &str) -> Vec<String> {
        read(text)
            .0
            .iter()
            .map(|row| row.trim_start_matches("directive who=").replace("name=", "").replace("text=", ""))
            .collect()
    }

    #[test]
    fn ntpds_directives_lose_their_comments() {
        let text = "# mine\nserver 192.0.2.1 iburst # ours\nserver 127.127.1.0\nrestrict default\tlimited kod\n\
                    driftfile /var/lib/ntp/drift\n\nfrobnicate all\ncrypto pw \"a #b\"\nserver\n$ ntpq -p\n";
        let want = [
            "ntpd server 192.0.2.1 iburst",
            "ntpd server 127.127.1.0",
            "ntpd restrict default\tlimited kod",
            "ntpd driftfile /var/lib/ntp/drift",
            "ntpd crypto pw \"a #b\"",
        ];
        assert_eq!(rows(text), want);
        let (_, rejects, forms) = read(text);
        assert_eq!(rejects, ["line 7: unknown directive `frobnicate`", "line 9: `server` needs an argument"]);
        assert_eq!(forms, ["ntp.conf or chrony.conf"]);
    }

    #[test]
    fn a_file_is_chronys_if_any_of_its_lines_is() {
        let text =
            "pool ntp.example iburst\nMakeStep 1.0 3\ndriftfile /var/lib/chrony/drift\n! server 192.0.2.9\nallow\n";
        let want = [
            "chronyd pool ntp.example iburst",
            "chronyd makestep 1.0 3",
            "chronyd driftfile /var/lib/chrony/drift",
            "chronyd allow",
        ];
        assert_eq!(rows(text), want);
        assert_eq!(rows("server 192.0.2.1 iburst\nservers pool.example\n")[0], "openntpd server 192.0.2.1 iburst");
        assert_eq!(rows("server ntp.example nts iburst\n"), ["chronyd server ntp.example nts iburst"]);
        assert_eq!(rows("server ntp.example nts\nnts enable\n")[0], "ntpd server ntp.example nts");
        assert_eq!(rows("refclock SHM 0 refid GPS\n"), ["chronyd refclock SHM 0 refid GPS"]);
        assert_eq!(rows("refclock shm unit 0\n"), ["ntpd refclock shm unit 0"]);
    }

    #[test]
    fn prose_logs_and_other_configurations_are_none() {
        let foreign = [
            "server is down",
            "server failed.",
            "server 10.8.0.0 255.255.255.0",
            "server 192.0.2.1;",
            "server web1 192.0.2.1:80 check",
            "server {",
            "server backend.example weight=5;",
            "pool of water",
            "pool {",
            "local stratum",
            "local 192.0.2.1",
            "log in",
            "log /dev/log local0",
            "restrict access",
            "peer 192.0.2.1 unreachable",
            "allow me",
            "allow all;",
            "port 123 is closed",
            "port 6379",
            "driftfile missing",
            "enable it",
            "user root",
            "include /etc/ld.so.conf.d/*.conf",
            "pidfile /var/run/redis.pid",
            "logfile /var/log/redis.log",
            "keys pageup",
            "interface eth0",
            "driver nl80211",
            "    server 192.0.2.1 iburst",
        ];
        let opened: Vec<_> =
            foreign.into_iter().filter(|line| !read(line).0.is_empty() || !read(line).2.is_empty()).collect();
        assert_eq!(opened, [""; 0]);
    }

    #[test]
    fn what_may_begin_a_configuration_is_none_if_its_next_line_is_strange() {
        let (rows, rejects, forms) = read("server 192.0.2.1\nzone example\n");
        assert_eq!((rows.len(), forms.len()), (0, 0));
        assert_eq!(rejects, ["line 2: no reader knows this line"]);
        assert_eq!(read("[[source]]\nurl = \"https://pypi.example/simple\"\n").2, [""; 0]);
        assert_eq!(read("pidfile /run/pid\nallow\nuser x\n").2, [""; 0]);
        assert_eq!(read("pidfile /run/pid\nallow\ncmdport 0\n").0.len(), 3);
        assert_eq!(read("server 192.0.2.1\nserver 192.0.2.2\n").2, ["ntp.conf or chrony.conf"]);
    }
}
