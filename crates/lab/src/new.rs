//! `ntpscope-lab new CAUSE`: begins a world for a cause.

use crate::causes::{self, Field, Known};
use anyhow::{Context, Result, bail};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What `new` takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The cause's id, as crates/lab/src/causes.rs lists it
    pub cause: String,
    /// The folder of worlds
    #[arg(long, value_name = "DIR", default_value = "worlds")]
    pub worlds: PathBuf,
}

/// Writes `CAUSE.toml` into the folder of worlds, and says what is left to do; an old one stays as it is.
///
/// # Errors
/// No such cause, or the world is there already.
pub fn run(args: &Args) -> Result<ExitCode> {
    let Some(cause) = causes::known(&args.cause) else {
        bail!("`{}` is no cause: give it a line in crates/lab/src/causes.rs first", args.cause);
    };
    let file = args.worlds.join(format!("{}.toml", args.cause));
    let mut open = OpenOptions::new();
    let mut out =
        open.write(true).create_new(true).open(&file).with_context(|| format!("can't begin {}", file.display()))?;
    out.write_all(world(cause).as_bytes()).with_context(|| format!("can't write {}", file.display()))?;
    println!("{}: say what happens, break it, and see that the truth is true;", file.display());
    println!("then ntpscope-lab score {}", file.display());
    Ok(ExitCode::SUCCESS)
}

/// A world in which nothing goes wrong yet, with the truth filled in as far as the cause tells it.
fn world((id, field, kind): &Known) -> String {
    let (template, client, server, healthy) = match field {
        Field::Path => (include_str!("templates/path.toml"), "c1", "sv", "c2"),
        Field::Clock => (include_str!("templates/clock.toml"), "h2", "s3", "h1"),
        Field::Multicast => (include_str!("templates/multicast.toml"), "x1", "m2", "m1"),
    };
    let place = match *kind {
        "segment" => r#"kind = "segment", from = "rt_out0", to = "sv_eth0", direction = "to-server""#.to_owned(),
        "device" => r#"kind = "device", host = "rt""#.to_owned(),
        "client" => format!(r#"kind = "client", host = "{client}""#),
        kind => format!(r#"kind = "{kind}", host = "{server}""#),
    };
    format!(
        "{template}\n[truth]\nhealthy_hosts = [\"{healthy}\"]\n\n[[truth.causes]]\ncause = \"{id}\"\nwhere = {{ {place} }}\n\
         affected = [\"{client}\"]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes::CAUSES;
    use crate::check::check;
    use crate::world::World;

    #[test]
    fn each_cause_gets_a_world_that_holds_together() {
        for cause in CAUSES {
            let text = world(cause);
            let read = World::read(&text).unwrap_or_else(|error| panic!("{}: {error}", cause.0));
            assert_eq!(check(&read, &text), [""; 0], "{}", cause.0);
            assert_eq!(read.truth.causes[0].cause, cause.0);
        }
    }

    #[test]
    fn an_old_world_stays() {
        let worlds = std::env::temp_dir().join(format!("ntpscope-lab-new-{}", std::process::id()));
        std::fs::create_dir_all(&worlds).expect("a folder");
        let args = Args { cause: "falseticker".into(), worlds: worlds.clone() };
        assert!(run(&args).is_ok());
        assert!(run(&args).is_err_and(|error| error.to_string().contains("can't begin")));
        assert!(run(&Args { cause: "moon-phase".into(), ..args }).is_err());
        std::fs::remove_dir_all(worlds).expect("removed");
    }
}
