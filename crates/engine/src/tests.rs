//! Stories and properties of the run, told through one small world.

mod gates;
mod known;
mod lists;
mod properties;
mod schedules;
mod stories;
mod whole;
mod world;
