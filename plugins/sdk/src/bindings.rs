//! What wit-bindgen makes of the contract. Both worlds speak of the same types.

pub mod scorer {
    wit_bindgen::generate!({
        world: "scorer",
        path: "wit",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "__export_scorer",
        default_bindings_module: "plumbline_plugin::bindings::scorer",
    });
}

pub mod prompt_builder {
    wit_bindgen::generate!({
        world: "prompt-builder",
        path: "wit",
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "__export_prompt_builder",
        default_bindings_module: "plumbline_plugin::bindings::prompt_builder",
        with: {
            "plumbline:plugin/host@1.0.0": crate::bindings::scorer::plumbline::plugin::host,
            "plumbline:plugin/types@1.0.0": crate::bindings::scorer::plumbline::plugin::types,
        },
    });
}
