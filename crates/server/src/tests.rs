//! The router as its callers see it: every answer is checked for what all of them share, and compared as text.

mod alerts;
mod bench;
mod broken;
mod decisions;
mod halt;
mod hostile;
mod logs;
mod reload;
mod respond;
mod runs;
mod tcp;
