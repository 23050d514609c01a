import Testing

@testable import Operators

@Suite struct ExporterTests {
    /// As torch 2.15 writes it.
    @Test func signatureAsLines() {
        let sources = Exporter.sources(
            signature: """

                # inputs
                p_fc_weight: PARAMETER target='fc.weight'
                b_mask: BUFFER target='mask' persistent=True
                c_lifted_tensor_0: CONSTANT_TENSOR target='lifted_tensor_0'
                x: USER_INPUT

                # outputs
                linear: USER_OUTPUT

                """)
        #expect(
            sources == [
                "p_fc_weight": .init(kind: "PARAMETER", target: "fc.weight"),
                "b_mask": .init(kind: "BUFFER", target: "mask"),
                "c_lifted_tensor_0": .init(kind: "CONSTANT_TENSOR", target: "lifted_tensor_0"),
            ])
        let exporter = Exporter(sources: sources)
        #expect(exporter.kind(ofTarget: "mask") == "BUFFER")
        #expect(exporter.kind(ofTarget: "x") == nil)
    }

    /// The representation of an `ExportGraphSignature`.
    @Test func signatureAsObjects() {
        let sources = Exporter.sources(
            signature: """
                ExportGraphSignature(input_specs=[InputSpec(kind=<InputKind.PARAMETER: 2>, \
                arg=TensorArgument(name='p_w'), target='layer.w', persistent=None), \
                InputSpec(kind=<InputKind.BUFFER: 3>, arg=TensorArgument(name='b_m'), target='m', persistent=False), \
                InputSpec(kind=<InputKind.USER_INPUT: 1>, arg=TensorArgument(name='x'), target=None, persistent=None)], \
                output_specs=[OutputSpec(kind=<OutputKind.USER_OUTPUT: 1>, arg=TensorArgument(name='y'), target=None)])
                """)
        #expect(
            sources == ["p_w": .init(kind: "PARAMETER", target: "layer.w"), "b_m": .init(kind: "BUFFER", target: "m")])
    }

    @Test func nonsenseIsLeftOut() {
        for text in [
            "", ":", "a: b", "target='x'", "a: PARAMETER target=", "a: PARAMETER target='x",
            "InputSpec(kind=<InputKind.",
        ] {
            #expect(Exporter.sources(signature: text).isEmpty, "\(text)")
        }
    }

    @Test func listsOfNames() {
        #expect(Exporter.names(list: "['', 'encoder', 'encoder.layers.0']") == ["", "encoder", "encoder.layers.0"])
        #expect(Exporter.names(list: #"["it's", 'b']"#) == ["it's", "b"])
        #expect(Exporter.names(list: "['open") == [])
        #expect(Exporter.names(list: "").isEmpty)
    }
}
