//! Passwords, tokens, the block after failed logins and the rate limit.
//!
//! A token is good while it is in the list of issued tokens; nobody verifies its signature, which is noise.
//! Not simulated: a token that is dead because it was issued in the second of a revocation.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::StatusCode;
use serde::Serialize;
use sha2::{Digest, Sha512};

use crate::clock::now_ms;
use crate::http::{Answer, Request};
use crate::settings::Settings;

use super::State;
use super::account::role;
use super::parameters::Parameters;
use super::permissions::Permissions;
use super::reply::{BLOCKED, Problem, TOO_MANY, data, ok};

const BLOCK_TIME: Duration = Duration::from_secs(300);
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// Everything that the API keeps about callers.
#[derive(Default)]
pub(super) struct Logins {
    /// Each good token with the second in which it expires.
    tokens: HashMap<String, u64>,
    issued: u64,
    noise: RandomState,
    /// Failed logins of an address since the first of them.
    failures: HashMap<IpAddr, (u32, Instant)>,
    /// The running minute and the requests in it.
    window: Option<(Instant, u32)>,
}

impl Logins {
    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    pub(super) fn count_request(&mut self, most: u32) -> Result<(), Problem> {
        let now = Instant::now();
        let (start, count) = match self.window {
            Some((start, count)) if now.duration_since(start) < RATE_WINDOW => (start, count + 1),
            Some(_) | None => (now, 1),
        };
        self.window = Some((start, count));
        if most > 0 && count > most {
            return Err(Problem::known(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests", &TOO_MANY));
        }
        Ok(())
    }

    pub(super) fn check_block(&mut self, peer: IpAddr) -> Result<(), Problem> {
        self.failures.retain(|_, (_, first)| first.elapsed() < BLOCK_TIME);
        match self.failures.get(&peer) {
            Some((u32::MAX, _)) => Err(Problem::known(StatusCode::FORBIDDEN, "Permission Denied", &BLOCKED)),
            Some(_) | None => Ok(()),
        }
    }

    /// Counts a failed login; the last allowed one makes the count infinite, which is the block.
    fn count_failure(&mut self, peer: IpAddr, most: u32) {
        let (count, _) = self.failures.entry(peer).or_insert((0, Instant::now()));
        *count = if count.saturating_add(1) >= most { u32::MAX } else { *count + 1 };
    }

    pub(super) fn check_token(&self, request: &Request) -> Result<(), Problem> {
        let Some(token) = authorization(request, "Bearer") else {
            return Err(Problem::unauthorized("No authorization token provided"));
        };
        let expires = self.tokens.get(token.trim()).ok_or_else(|| Problem::unauthorized("Invalid token"))?;
        if *expires > now_ms() / 1000 { Ok(()) } else { Err(Problem::unauthorized("Invalid token")) }
    }

    fn issue(&mut self, settings: &Settings, permissions: &Permissions) -> String {
        #[derive(Serialize)]
        struct Claims<'a> {
            iss: &'a str,
            aud: &'a str,
            nbf: u64,
            exp: u64,
            sub: &'a str,
            run_as: bool,
            rbac_roles: [u32; 1],
            rbac_mode: &'a str,
        }
        let now_s = now_ms() / 1000;
        let claims = Claims {
            iss: "wazuh",
            aud: "Wazuh API REST",
            nbf: now_s,
            exp: now_s + settings.token_lifetime_s,
            sub: &settings.wazuh_user,
            run_as: false,
            rbac_roles: [role(permissions).0],
            rbac_mode: "white",
        };
        let claims = serde_json::to_vec(&claims).expect("claims have string keys only");
        let token = format!(
            "{}.{}.{}",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"ES512","typ":"JWT"}"#),
            URL_SAFE_NO_PAD.encode(claims),
            URL_SAFE_NO_PAD.encode(self.signature()),
        );
        self.tokens.retain(|_, expires| *expires > now_s);
        self.tokens.insert(token.clone(), now_s + settings.token_lifetime_s);
        token
    }

    /// As many bytes as a signature on P-521 has, different for each token.
    fn signature(&mut self) -> Vec<u8> {
        self.issued += 1;
        let mut bytes = Vec::new();
        for block in 0..3_u64 {
            let seed = self.noise.hash_one((self.issued, block));
            bytes.extend_from_slice(&Sha512::digest(seed.to_be_bytes()));
        }
        bytes.truncate(132);
        bytes
    }
}

impl State {
    pub(super) fn check_password(&mut self, settings: &Settings, request: &Request) -> Result<(), Problem> {
        let given = authorization(request, "Basic")
            .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        if given == Some(format!("{}:{}", settings.wazuh_user, self.password)) {
            return Ok(());
        }
        self.logins.count_failure(request.peer, settings.max_login_attempts);
        Err(Problem::unauthorized("Invalid credentials"))
    }

    pub(super) fn login(&mut self, settings: &Settings, parameters: &Parameters) -> Answer {
        #[derive(Serialize)]
        struct Token {
            token: String,
        }
        let token = self.logins.issue(settings, &self.permissions);
        if parameters.is_true("raw") {
            return Answer::text(StatusCode::OK, token);
        }
        data(&Token { token })
    }

    /// Revokes every token of the user, not only the one of this request.
    pub(super) fn logout(&mut self, settings: &Settings) -> Answer {
        #[derive(Serialize)]
        struct Logout {
            message: String,
            error: u8,
        }
        self.logins.revoke_all();
        let message = format!("User {} was successfully logged out", settings.wazuh_user);
        ok(&Logout { message, error: 0 })
    }
}

/// The answer to a login by `GET`.
pub(super) fn deprecated(mut answer: Answer) -> Answer {
    const SUCCESSOR: &str = "<https://documentation.wazuh.com/4.14/user-manual/api/reference.html\
                             #operation/api.controllers.security_controller.login_user>; rel=\"Deprecated\"";
    answer.headers.push(("deprecated", "true"));
    answer.headers.push(("link", SUCCESSOR));
    answer
}

fn authorization<'a>(request: &'a Request, scheme: &str) -> Option<&'a str> {
    let (given, rest) = request.header(AUTHORIZATION.as_str())?.split_once(' ')?;
    given.eq_ignore_ascii_case(scheme).then_some(rest)
}
