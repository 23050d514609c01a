import Foundation
import Operators
import TensorGraph
import Testing

/// The page of operators is what the registry says.
@Suite struct OperatorTableTests {
    private let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("docs/operators.md")

    @Test func thePageIsCurrent() throws {
        let table = OperatorTable(.standard).markdown
        if ProcessInfo.processInfo.environment["DPONNX_WRITE_OPERATORS"] == "1" {
            try table.write(to: page, atomically: true, encoding: .utf8)
        }
        let written = try? String(contentsOf: page, encoding: .utf8)
        #expect(written == table, "docs/operators.md differs from the registry; run: make operators-table")
    }

    /// A user's operator says for itself what training makes of it.
    @Test func anOperatorOfOnesOwnIsListed() {
        struct Rounding: OperatorPlugin {
            let identity = OperatorIdentity(domain: "my.domain", "Rounding", since: 3)
            let structuralInputs: Set<Int> = []
            let trainingSupport = TrainingSupport.forwardOnly(because: "rounds")
            func expand(_ node: inout Expansion) throws(GraphError) -> [ValueID] { [try node.input(0)] }
        }
        var registry = OperatorRegistry()
        registry.register([Rounding()])
        let table = OperatorTable(registry).markdown
        #expect(table.contains("| my.domain | Rounding | 3 | yes | no | rounds |"))
    }
}
