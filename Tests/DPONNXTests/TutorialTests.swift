import DPONNX
import Foundation
import Testing

/// The article of the documentation is the code in TutorialCode.swift, which runs.
@Suite struct TutorialTests {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

    @Test func theArticleShowsTheCode() throws {
        let code = try String(contentsOf: Self.tests.appendingPathComponent("TutorialCode.swift"), encoding: .utf8)
        let article = Self.tests.deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/DPONNX/DPONNX.docc/TrainingAModel.md")
        #expect(try String(contentsOf: article, encoding: .utf8).contains("```swift\n\(code)```"))
    }

    @Test func theCodeRuns() throws {
        let model = Self.tests.appendingPathComponent("Fixtures/mlp").path
        let file = try ArrayFile(path: model + ".data.npz")
        let (x, labels) = (try file.array("x"), try file.array("labels"))
        let rows = (0..<x.rowCount).map { row in
            Array(x.floats()[row * x.rowElementCount..<(row + 1) * x.rowElementCount])
        }
        let output = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID()).onnx").path
        defer { try? FileManager.default.removeItem(atPath: output) }
        let epsilon = try fineTune(model + ".onnx", x: rows, labels: labels.floats().map { Int64($0) }, output: output)
        let statement = try #require(try LoadedModel(path: output).privacyStatement())
        #expect(epsilon > 0 && epsilon == statement.bound.epsilon)
    }
}
