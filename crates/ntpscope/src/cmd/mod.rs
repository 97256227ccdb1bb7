//! One file a verb.

pub mod diagnose;
pub mod exchanges;
pub mod explain;
pub mod plot;
pub mod rows;

use crate::input::UNFIT;
use anyhow::bail;
use ntpscope_core::render::plain;
use ntpscope_core::scene::Scene;

/// Fails where nothing could be read, and says why.
pub fn ensure_evidence(scene: &Scene) -> anyhow::Result<()> {
    if scene.inputs.iter().any(|input| !input.kind.is_empty()) {
        return Ok(());
    }
    tell_trouble(scene);
    bail!("none of {} inputs is evidence that can be read: docs/formats.md lists what can be", scene.inputs.len())
}

/// Says on standard error what could not be read; of what is no evidence by its nature only where nothing else is.
pub fn tell_trouble(scene: &Scene) {
    let any = scene.inputs.iter().any(|input| !input.kind.is_empty());
    for input in &scene.inputs {
        if let Some(trouble) = input.trouble.as_deref().filter(|trouble| !any || !UNFIT.contains(trouble)) {
            eprintln!("{}: {}", plain(&input.name), plain(trouble));
        }
    }
}
