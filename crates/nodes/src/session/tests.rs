use std::future::{Ready, ready};
use std::sync::atomic::{AtomicU32, Ordering};

use model::FailureClass;
use tokio::sync::Notify;

use super::*;

/// A login desk that counts, and answers when it is told to.
#[derive(Clone, Default)]
struct Desk {
    logins: Arc<AtomicU32>,
    open: Arc<Notify>,
}

impl Desk {
    fn count(&self) -> u32 {
        self.logins.load(Ordering::SeqCst)
    }

    /// A login that succeeds at once.
    fn at_once(&self) -> Ready<Result<Fresh, NoLogin>> {
        let number = self.logins.fetch_add(1, Ordering::SeqCst) + 1;
        let secret = Secret::from(format!("token-{number}"));
        ready(Ok(Fresh { secret, lifetime: Duration::from_secs(100) }))
    }

    /// A login that succeeds when the desk opens.
    async fn when_open(self) -> Result<Fresh, NoLogin> {
        let fresh = self.at_once().await;
        self.open.notified().await;
        fresh
    }

    fn refused(&self) -> Ready<Result<Fresh, NoLogin>> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        ready(Err(NoLogin { failure: Failure::new(FailureClass::Auth, "wrong password"), is_refusal: true }))
    }

    fn broken(&self) -> Ready<Result<Fresh, NoLogin>> {
        self.logins.fetch_add(1, Ordering::SeqCst);
        ready(Err(NoLogin { failure: Failure::new(FailureClass::Connect, "refused"), is_refusal: false }))
    }
}

async fn token(session: &Session, desk: &Desk) -> String {
    session.token(|| desk.at_once()).await.unwrap().secret.expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn one_login_serves_all_who_wait() {
    let (session, desk) = (Session::default(), Desk::default());
    let calls: Vec<_> = (0..100).map(|_| session.token(|| desk.clone().when_open())).collect();
    let opening = async {
        tokio::task::yield_now().await;
        desk.open.notify_one();
    };
    let (tokens, ()) = futures::join!(futures::future::join_all(calls), opening);
    assert!(tokens.iter().all(|token| token.as_ref().unwrap().secret.expose() == "token-1"));
    assert_eq!(desk.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_goes_on_for_the_others_when_the_first_who_asked_gives_up() {
    let (session, desk) = (Session::default(), Desk::default());
    let mut impatient = Box::pin(session.token(|| desk.clone().when_open()));
    assert!(futures::poll!(&mut impatient).is_pending());
    let mut patient = Box::pin(session.token(|| desk.clone().when_open()));
    assert!(futures::poll!(&mut patient).is_pending());
    drop(impatient);
    desk.open.notify_one();
    assert_eq!(patient.await.unwrap().secret.expose(), "token-1");
    assert_eq!(desk.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_everybody_gave_up_on_is_begun_anew() {
    let (session, desk) = (Session::default(), Desk::default());
    let mut impatient = Box::pin(session.token(|| desk.clone().when_open()));
    assert!(futures::poll!(&mut impatient).is_pending());
    drop(impatient);
    assert_eq!(token(&session, &desk).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_at_four_fifths_of_its_life() {
    let (session, desk) = (Session::default(), Desk::default());
    assert_eq!(token(&session, &desk).await, "token-1");
    tokio::time::advance(Duration::from_secs(79)).await;
    assert_eq!(token(&session, &desk).await, "token-1");
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(token(&session, &desk).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_dropped_once() {
    let (session, desk) = (Session::default(), Desk::default());
    let old = session.token(|| desk.at_once()).await.unwrap();
    session.refuse(&old);
    assert_eq!(token(&session, &desk).await, "token-2");
    session.refuse(&old);
    assert_eq!(token(&session, &desk).await, "token-2");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_not_tried_again_at_once() {
    let (session, desk) = (Session::default(), Desk::default());
    assert_eq!(session.token(|| desk.refused()).await.unwrap_err().message, "wrong password");
    for _ in 0..100 {
        let failure = session.token(|| desk.refused()).await.unwrap_err();
        assert_eq!(failure.message, "wrong password (remembered for 15s at most, then asked again)");
    }
    assert_eq!(desk.count(), 1);
    let failure = session.token(|| desk.refused()).await.unwrap_err();
    assert_eq!(failure.retry_after(), Some(MEMORY));
    tokio::time::advance(MEMORY).await;
    session.token(|| desk.refused()).await.unwrap_err();
    assert_eq!(desk.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn refused_logins_become_rare_until_a_token_is_taken() {
    let (session, desk) = (Session::default(), Desk::default());
    for _ in 0..300 {
        session.token(|| desk.refused()).await.unwrap_err();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(desk.count(), 5);
    session.accept();
    tokio::time::advance(8 * MEMORY).await;
    session.token(|| desk.refused()).await.unwrap_err();
    tokio::time::advance(MEMORY).await;
    session.token(|| desk.refused()).await.unwrap_err();
    assert_eq!(desk.count(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_did_not_get_through_is_not_held_against_the_next() {
    let (session, desk) = (Session::default(), Desk::default());
    session.token(|| desk.broken()).await.unwrap_err();
    assert_eq!(token(&session, &desk).await, "token-2");
}
