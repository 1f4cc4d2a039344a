//! Stories and properties of the run, told through one small world.

mod properties;
mod stories;
mod world;
