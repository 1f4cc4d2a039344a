//! `portcullis lab`: the simulated systems alone.

use ::lab::{Lab, Settings};

use crate::show;

pub(crate) async fn lab(port: u16) -> anyhow::Result<()> {
    let next = |offset: u16| if port == 0 { 0 } else { port.saturating_add(offset) };
    let settings = Settings {
        wazuh_port: next(0),
        thehive_port: next(1),
        virustotal_port: next(2),
        control_port: next(3),
        slack_port: next(4),
        misp_port: next(5),
        indexer_port: next(6),
        ..Settings::default()
    };
    let (user, password) = (settings.wazuh_user.clone(), settings.wazuh_password.clone());
    let (thehive_key, virustotal_key) = (settings.thehive_key.clone(), settings.virustotal_key.clone());
    let (slack_token, misp_key) = (settings.slack_token.clone(), settings.misp_key.clone());
    let (indexer_user, indexer_password) = (settings.indexer_user.clone(), settings.indexer_password.clone());
    let lab = Lab::start(settings).await?;
    show::say(format_args!("wazuh       {}  user {user}, password {password}", lab.wazuh_url()));
    show::say(format_args!("            certificate fingerprint {}", lab.wazuh_fingerprint()));
    show::say(format_args!("thehive     {}  key {thehive_key}", lab.thehive_url()));
    show::say(format_args!("virustotal  {}/api/v3  key {virustotal_key}", lab.virustotal_url()));
    show::say(format_args!("slack       {}/api  token {slack_token}", lab.slack_url()));
    show::say(format_args!("misp        {}  key {misp_key}", lab.misp_url()));
    show::say(format_args!(
        "indexer     {}  user {indexer_user}, password {indexer_password}",
        lab.indexer_url()
    ));
    show::say(format_args!("            the same certificate"));
    show::say(format_args!("control     {}  what was requested, and orders for faults", lab.control_url()));
    tokio::signal::ctrl_c().await?;
    lab.stop().await;
    Ok(())
}
