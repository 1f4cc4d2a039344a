//! What handlers take out of a request, each with a problem that says what is wrong with it.

use std::error::Error;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use model::{RunId, StepKey};
use serde::de::DeserializeOwned;

use crate::body;
use crate::problem::{Kind, Problem};
use crate::router::App;

/// The most bytes of a body that a person writes.
const MOST_WORDS_BYTES: usize = 64 * 1024;

/// The run that the address names.
pub(crate) struct OfRun(pub(crate) RunId);

/// The step of a run that the address names.
pub(crate) struct OfStep(pub(crate) RunId, pub(crate) StepKey);

/// The query of the address.
pub(crate) struct Params<T>(pub(crate) T);

/// What a person says, as JSON.
pub(crate) struct Words<T>(pub(crate) T);

impl<S: Send + Sync> FromRequestParts<S> for OfRun {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<OfRun, Problem> {
        let Path(run): Path<String> = Path::from_request_parts(parts, state).await.map_err(wrong_path)?;
        Ok(OfRun(run.parse()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for OfStep {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<OfStep, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        let Path((run, step)): Path<(String, String)> = path.map_err(wrong_path)?;
        Ok(OfStep(run.parse()?, step.parse()?))
    }
}

pub(crate) fn wrong_path(rejection: PathRejection) -> Problem {
    Problem::new(Kind::WrongPath, root_of(&rejection))
}

pub(crate) fn wrong_query(rejection: QueryRejection) -> Problem {
    Problem::new(Kind::WrongQuery, root_of(&rejection))
}

/// What is wrong, without the names of the layers that it came through.
fn root_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Params<T>, Problem> {
        let Query(params) = Query::try_from_uri(&parts.uri).map_err(wrong_query)?;
        Ok(Params(params))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Words<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Words<T>, Problem> {
        Ok(Words(read_json(request, app, MOST_WORDS_BYTES).await?))
    }
}

/// Reads a body as JSON.
pub(crate) async fn read_json<T: DeserializeOwned>(
    request: Request,
    app: &App,
    most_bytes: usize,
) -> Result<T, Problem> {
    let (head, body) = request.into_parts();
    let bytes = body::read(&head.headers, body, most_bytes, app.settings.body_timeout).await?;
    // serde would also take a list, and tell its items by their places.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Kind::WrongBody, "the body is not a JSON object"));
    }
    serde_json::from_slice(&bytes).map_err(|error| Problem::new(Kind::WrongBody, error.to_string()))
}
