//! `plugin-build MODULE COMPONENT`: makes a component of a core module that was compiled against `wit/` by wit-bindgen. The
//! module carries its world in a custom section; nothing else is needed, and equal input gives equal bytes.

use std::{env, error::Error, fs, process::ExitCode};

use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [module, component] = arguments.as_slice() else {
        eprintln!("usage: plugin-build MODULE COMPONENT");
        return ExitCode::FAILURE;
    };
    match make(module, component) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{module}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(module: &str, component: &str) -> Result<(), Box<dyn Error>> {
    let bytes = ComponentEncoder::default().module(&fs::read(module)?)?.validate(true).encode()?;
    fs::write(component, bytes)?;
    Ok(())
}
