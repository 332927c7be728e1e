//! What a formatter's library exports, and how an author's type becomes that.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use abi_stable::StableAbi;
use abi_stable::library::{ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModule};
use abi_stable::package_version_strings;
use abi_stable::sabi_trait::prelude::TD_Opaque;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::{RBox, RErr, ROk, RResult, RStr, RString};

use crate::change::RawChangeRef;
use crate::options::RawOptions;
use crate::{Change, Error, Formatter, Options, RecordBuffer, Records};

/// The symbol that a formatter's library exports, with a NUL at its end: an `abi_stable` header that the host checks
/// before anything of the library is called.
pub const FORMATTER_SYMBOL: &str = ROOT_MODULE_LOADER_NAME_WITH_NUL;

/// What a formatter's library offers.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = FormatterModuleRef)))]
pub struct FormatterModule {
    /// The name of the formatter's package.
    pub name: RStr<'static>,
    /// The version of the formatter's package.
    pub version: RStr<'static>,
    /// The description of the formatter's package.
    pub summary: RStr<'static>,
    /// Makes the formatter, or says why not.
    #[sabi(last_prefix_field)]
    pub new: extern "C" fn(RawOptions<'_>) -> RResult<FormatterBox, RString>,
}

impl RootModule for FormatterModuleRef {
    abi_stable::declare_root_module_statics! {FormatterModuleRef}

    const BASE_NAME: &'static str = "pg2k_formatter";
    const NAME: &'static str = "pg2k formatter";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The methods of a formatter as they cross the boundary.
// The attribute's expansion is older than these two lints.
#[allow(non_local_definitions, unreachable_pub)]
mod raw {
    use super::{RResult, RString, RawChangeRef, RecordBuffer};

    #[abi_stable::sabi_trait]
    pub trait RawFormatter: Send {
        /// Makes records of one change; on an error what it wrote does not count.
        #[sabi(last_prefix_field)]
        fn format(&mut self, change: RawChangeRef<'_>, records: &mut RecordBuffer) -> RResult<(), RString>;
    }
}

use raw::{RawFormatter, RawFormatter_TO};

/// A formatter whose code lives in a loaded library.
#[repr(transparent)]
#[derive(StableAbi)]
pub struct FormatterBox(RawFormatter_TO<'static, RBox<()>>);

impl FormatterBox {
    /// Makes records of one change.
    ///
    /// # Errors
    ///
    /// What the formatter said, or that it panicked. The contents of the buffer are of no use then.
    pub fn format(&mut self, change: Change<'_>, records: &mut RecordBuffer) -> Result<(), Error> {
        self.0.format(change.into_raw(), records).into_result().map_err(|message| Error::new(message.into_string()))
    }
}

impl FormatterModuleRef {
    /// Makes the formatter.
    ///
    /// # Errors
    ///
    /// What the formatter has against its options, or that it panicked.
    pub fn construct(self, options: &[(String, String)]) -> Result<FormatterBox, Error> {
        let pairs: Vec<_> =
            options.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()).into()).collect();
        (self.new())(pairs.as_slice().into()).into_result().map_err(|message| Error::new(message.into_string()))
    }
}

/// An author's formatter behind the boundary: panics end here.
struct Adapter<F>(F);

impl<F: Formatter> RawFormatter for Adapter<F> {
    fn format(&mut self, change: RawChangeRef<'_>, records: &mut RecordBuffer) -> RResult<(), RString> {
        guard(|| self.0.format(Change::from_raw(change), &mut Records::new(records)))
    }
}

/// Makes an author's formatter.
pub extern "C" fn construct<F: Formatter>(options: RawOptions<'_>) -> RResult<FormatterBox, RString> {
    if !cfg!(test) {
        // The library's own copy of the standard library has its own hook, which would print a panic in the midst of the host's
        // logs, row data and all. The host reports what the panic says.
        std::panic::set_hook(Box::new(|_| {}));
    }
    guard(|| {
        let formatter = F::new(Options::from_raw(options))?;
        Ok(FormatterBox(RawFormatter_TO::from_value(Adapter(formatter), TD_Opaque)))
    })
}

/// The package that a formatter comes from.
pub struct Identity {
    /// `CARGO_PKG_NAME`
    pub name: &'static str,
    /// `CARGO_PKG_VERSION`
    pub version: &'static str,
    /// `CARGO_PKG_DESCRIPTION`
    pub summary: &'static str,
}

/// The module of an author's formatter.
pub fn export(
    identity: &Identity,
    new: extern "C" fn(RawOptions<'_>) -> RResult<FormatterBox, RString>,
) -> FormatterModuleRef {
    use abi_stable::prefix_type::PrefixTypeTrait;
    FormatterModule {
        name: identity.name.into(),
        version: identity.version.into(),
        summary: identity.summary.into(),
        new,
    }
    .leak_into_prefix()
}

/// Runs an author's code; what goes wrong in it, a panic too, becomes text.
///
/// A formatter that panicked is not called again: the host stops. So what the panic left half done is seen by no one.
fn guard<T>(code: impl FnOnce() -> Result<T, Error>) -> RResult<T, RString> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Ok(value)) => ROk(value),
        Ok(Err(error)) => RErr(error.message().into()),
        Err(panic) => RErr(RString::from(panic_message(panic))),
    }
}

fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let message = format!("it panicked: {}", text.unwrap_or("with a payload that is no text"));
    // Dropping the payload runs the author's code too, and may panic in its turn: outside the guard.
    std::mem::forget(panic);
    message
}

/// Exports a type that implements [`Formatter`] as the formatter of this library, a crate of type `cdylib`.
///
/// Name, version and description are those of the package. A library has one formatter.
#[macro_export]
macro_rules! export_formatter {
    ($formatter:ty) => {
        const _: () = {
            use $crate::__private::abi_stable::library as __library;

            fn __module() -> $crate::__private::FormatterModuleRef {
                const IDENTITY: $crate::__private::Identity = $crate::__private::Identity {
                    name: env!("CARGO_PKG_NAME"),
                    version: env!("CARGO_PKG_VERSION"),
                    summary: env!("CARGO_PKG_DESCRIPTION"),
                };
                $crate::__private::export(&IDENTITY, $crate::__private::construct::<$formatter>)
            }

            extern "C" fn __load() -> __library::RootModuleResult {
                __library::__call_root_module_loader(__module)
            }

            // What `#[abi_stable::export_root_module]` makes, which names `::abi_stable` and so would ask every formatter to
            // depend on it. The name is `abi_stable::library::ROOT_MODULE_LOADER_NAME`; a test compares the two.
            // SAFETY: `__load` makes a `FormatterModuleRef`, the type that the header is made for.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            static HEADER: __library::LibHeader = unsafe {
                __library::LibHeader::from_constructor::<$crate::__private::FormatterModuleRef>(
                    __load,
                    __library::CheckTypeLayout::Yes,
                )
            };
        };
    };
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::{ChangeParts, Lsn, Operation, Position};

    struct Picky(Vec<String>);

    impl Formatter for Picky {
        fn new(options: Options<'_>) -> Result<Self, Error> {
            let values = options.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            if values.iter().any(|value| value == "mood=bad") { Err(Error::new("not today")) } else { Ok(Self(values)) }
        }

        fn format(&mut self, change: Change<'_>, records: &mut Records<'_>) -> Result<(), Error> {
            let mut record = records.record();
            write!(record, "{} {} {:?}", change.position(), change.operation(), self.0)?;
            match change.table() {
                "panics" => panic!("on {}", change.table()),
                "fails" => return Err(Error::new("no")),
                _ => record.finish(),
            }
            Ok(())
        }
    }

    export_formatter!(Picky);

    fn module() -> FormatterModuleRef {
        export(&Identity { name: "picky", version: "1.2.3", summary: "for tests" }, construct::<Picky>)
    }

    fn format(formatter: &mut FormatterBox, table: &str) -> Result<String, String> {
        let position = Position { end_lsn: Lsn::new(0x16_B374), index: 3 };
        let parts = ChangeParts::new(position, Operation::Truncate, "s", table);
        let mut buffer = RecordBuffer::new(1_000);
        let result = Change::with(&parts, |change| formatter.format(change, &mut buffer));
        result.map_err(|error| error.to_string())?;
        Ok(buffer.iter().map(|(data, _)| String::from_utf8_lossy(data).into_owned()).collect())
    }

    #[test]
    fn the_exported_symbol_is_the_one_that_the_host_looks_for() {
        assert_eq!(FORMATTER_SYMBOL, "_1as_0lib_1header_0root_bmodule_bloader\0");
    }

    #[test]
    fn options_and_changes_go_in_and_records_come_out() {
        let mut formatter = module().construct(&[("a".into(), "b".into())]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format(&mut formatter, "t").as_deref(), Ok("0/16B374/3 TRUNCATE [\"a=b\"]"));
    }

    #[test]
    fn errors_and_panics_become_text() {
        let refused =
            module().construct(&[("mood".into(), "bad".into())]).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(refused, Err("not today".to_owned()));
        let mut formatter = module().construct(&[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(format(&mut formatter, "fails"), Err("no".to_owned()));
        assert_eq!(format(&mut formatter, "panics"), Err("it panicked: on panics".to_owned()));
    }
}
