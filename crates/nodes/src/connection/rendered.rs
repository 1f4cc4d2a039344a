//! A recipe with the operator's settings in it. Pure: every mistake in the settings is found here, before any call.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expr::{Scope, Template};
use model::Failure;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::connection::sensitive;
use crate::recipe::{Credential, Login, Recipe, TokenLogin};
use crate::request::{Base, Prepared, Root, header_name, url_shown};
use crate::scrub::Scrubber;
use crate::settings::{ConnectionSettings, Secret};

/// A recipe with settings in it.
pub(crate) struct Rendered {
    pub(crate) name: String,
    pub(crate) recipe: Option<Arc<Recipe>>,
    /// Where the product's own nodes may call.
    own: Base,
    /// Where nodes that bring their URL may call.
    other: Base,
    /// What may be shown of the connection.
    pub(crate) public: Arc<Value>,
    pub(crate) entry: Entry,
    pub(crate) scrubber: Scrubber,
}

/// How the other side knows us.
pub(crate) enum Entry {
    /// By headers that never change.
    Headers(HeaderMap),
    /// By a token.
    Token(Box<TokenEntry>),
}

/// How to get a token, and where it goes.
pub(crate) struct TokenEntry {
    pub(crate) login: TokenLogin,
    pub(crate) request: Prepared,
    /// Headers of the login besides those of the request.
    pub(crate) credentials: HeaderMap,
    /// Headers of every call.
    pub(crate) always: HeaderMap,
    /// Where the token goes; none: `Authorization: Bearer`.
    pub(crate) header: Option<HeaderName>,
}

impl Rendered {
    /// A connection to anywhere, as nobody.
    pub(crate) fn nobody() -> Rendered {
        Rendered {
            name: String::new(),
            recipe: None,
            own: Base::Anywhere,
            other: Base::Anywhere,
            public: json!({}).into(),
            entry: Entry::Headers(HeaderMap::new()),
            scrubber: Scrubber::default(),
        }
    }

    /// Where a node may call: one of the product's own, or one that brings its URL.
    pub(crate) fn base(&self, is_of_product: bool) -> &Base {
        if is_of_product { &self.own } else { &self.other }
    }
}

/// Puts the settings into the recipe.
pub(crate) fn render(
    name: &str,
    recipe: &Arc<Recipe>,
    settings: &ConnectionSettings,
) -> Result<Rendered, Error> {
    check_settings(name, recipe, settings)?;
    let unusable = |problem: String| Error::Unusable { connection: name.to_owned(), problem };
    let url = settings.url.as_ref().or(recipe.url.as_ref());
    let url = url.ok_or_else(|| unusable("it has no URL".to_owned()))?;
    let cannot =
        |problem: String| unusable(format!("the URL `{}` cannot be used: {problem}", url_shown(url)));
    let root = Root::parse(url).map_err(cannot)?;
    let api = match root.as_str() {
        whole if whole.ends_with(&recipe.base) => root.clone(),
        part => Root::parse(&format!("{part}{}", recipe.base)).map_err(cannot)?,
    };
    let all: Map<String, Value> =
        settings.values.iter().map(|(key, value)| (key.clone(), value.expose().into())).collect();
    let is_shown = |key: &String| recipe.settings.get(key).is_some_and(|setting| !setting.is_secret);
    let shown: Map<String, Value> = all.clone().into_iter().filter(|(key, _)| is_shown(key)).collect();
    let mut scrubber = Scrubber::default();
    for (_, secret) in settings.values.iter().filter(|(key, _)| !is_shown(key)) {
        scrubber.add(secret);
    }
    let mut renderer = Renderer { scope: Scope::new(json!({ "settings": all })), scrubber };
    let login = recipe
        .logins
        .iter()
        .find(|login| login.needs().iter().all(|name| settings.values.contains_key(*name)));
    let login = login.ok_or_else(|| unusable(missing_for_login(recipe)))?;
    let entry = renderer
        .entry(recipe, login, &Base::Below(api.clone()))
        .map_err(|problem| unusable(problem.message))?;
    Ok(Rendered {
        name: name.to_owned(),
        recipe: Some(recipe.clone()),
        public: json!({ "name": name, "product": recipe.product, "url": root.as_str(), "settings": shown })
            .into(),
        own: Base::Below(api),
        other: Base::BelowOrWhole(root),
        entry,
        scrubber: renderer.scrubber,
    })
}

fn check_settings(name: &str, recipe: &Recipe, settings: &ConnectionSettings) -> Result<(), Error> {
    if let Some(unknown) = settings.values.keys().find(|key| !recipe.settings.contains_key(*key)) {
        return Err(Error::UnknownSetting {
            connection: name.to_owned(),
            product: recipe.product.clone(),
            setting: unknown.clone(),
            known: recipe.settings.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        });
    }
    let is_given = |key: &String| settings.values.get(key).is_some_and(|value| !value.expose().is_empty());
    let missing = recipe.settings.iter().find(|(key, setting)| setting.is_required && !is_given(key));
    match missing {
        None => Ok(()),
        Some((key, setting)) => Err(Error::MissingSetting {
            connection: name.to_owned(),
            setting: key.clone(),
            summary: setting.summary.trim_end_matches('.').to_owned(),
        }),
    }
}

fn missing_for_login(recipe: &Recipe) -> String {
    let ways: Vec<String> = recipe.logins.iter().map(|login| login.needs().join(" and ")).collect();
    format!("nothing to log in with: give {}", ways.join(", or "))
}

struct Renderer {
    scope: Scope,
    scrubber: Scrubber,
}

impl Renderer {
    fn entry(&mut self, recipe: &Recipe, login: &Login, api: &Base) -> Result<Entry, Failure> {
        let mut always = self.always(recipe)?;
        match login {
            Login::None => Ok(Entry::Headers(always)),
            Login::Header(credential) => {
                self.credential(credential, &mut always)?;
                Ok(Entry::Headers(always))
            }
            Login::Token(login) => {
                let mut credentials = HeaderMap::new();
                if let Some(credential) = &login.credential {
                    self.credential(credential, &mut credentials)?;
                }
                let request = self.login_request(login, api)?;
                let header = login.header.as_deref().map(header_name).transpose()?;
                Ok(Entry::Token(Box::new(TokenEntry {
                    login: (**login).clone(),
                    request,
                    credentials,
                    always,
                    header,
                })))
            }
        }
    }

    fn always(&self, recipe: &Recipe) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        let Some(template) = &recipe.headers else { return Ok(headers) };
        let values = template.eval(&self.scope).map_err(|error| crate::request::refused(error.message))?;
        for (name, value) in values.as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            headers.insert(header_name(name)?, crate::request::header_value(name, text)?);
        }
        Ok(headers)
    }

    fn credential(&mut self, credential: &Credential, headers: &mut HeaderMap) -> Result<(), Failure> {
        let (name, value) = match credential {
            Credential::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{}:{}", self.text(user)?, self.text(password)?));
                self.scrubber.add(&pair.as_str().into());
                (AUTHORIZATION, format!("Basic {pair}"))
            }
            Credential::Bearer(value) => (AUTHORIZATION, format!("Bearer {}", self.text(value)?)),
            Credential::Header { name, value } => (header_name(name)?, self.text(value)?),
        };
        let refused = || crate::request::refused("a secret has a character that headers cannot carry");
        headers.insert(name, sensitive(&Secret::from(value)).ok_or_else(refused)?);
        Ok(())
    }

    fn login_request(&self, login: &TokenLogin, api: &Base) -> Result<Prepared, Failure> {
        let method = Method::from_bytes(login.method.as_bytes());
        let method =
            method.map_err(|_| crate::request::refused(format!("`{}` is not a method", login.method)))?;
        let json = login.json.as_ref().map(|json| json.eval(&self.scope)).transpose();
        let json = json.map_err(|error| crate::request::refused(error.message))?;
        let mut headers = HeaderMap::new();
        if json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let url = api.below(&login.path, &[])?;
        Ok(Prepared { method, url, headers, body: json.map(|json| json.to_string().into_bytes()) })
    }

    fn text(&self, template: &Template) -> Result<String, Failure> {
        template.eval_text(&self.scope).map_err(|error| crate::request::refused(error.message))
    }
}
