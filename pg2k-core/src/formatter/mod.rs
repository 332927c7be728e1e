//! Formatters: where they are found, how they are loaded, and the handle through which they are called.

pub(crate) mod find;
pub(crate) mod load;

pub(crate) use load::LoadedFormatter;
