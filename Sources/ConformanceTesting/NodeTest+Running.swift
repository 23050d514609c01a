public import Kernels
import ONNXFormat
public import Operators
import TensorGraph

/// What came of a test.
public enum TestOutcome: Hashable, Sendable {
    case passed
    /// The results are wrong, or the model was refused as if it broke a rule.
    case failed(String)
    /// The model uses what is not implemented.
    case unsupported(String)
}

public struct TestResult: Hashable, Sendable {
    public let test: NodeTest
    /// The operator that the test's model consists of.
    public let subject: String
    public let outcome: TestOutcome

    public init(test: NodeTest, subject: String, outcome: TestOutcome) {
        self.test = test
        self.subject = subject
        self.outcome = outcome
    }
}

extension NodeTest {
    /// Imports the test's model, runs it forward on every data set and compares the outputs.
    ///
    /// Nothing here has a batch: sizes are those of the inputs. Inputs that an operator must know beforehand (axes,
    /// shapes, pads) become initializers where the model is unsupported otherwise.
    public func run(
        registry: OperatorRegistry = .standard, judgement: Judgement = .strict, pool: ThreadPool
    ) -> TestResult {
        let model: ONNXModel
        do {
            model = try ONNXModel(path: modelPath)
        } catch {
            return TestResult(test: self, subject: "(not loaded)", outcome: .failed("\(error)"))
        }
        let operators = Set(model.graph.nodes.map(\.opType))
        let subject = operators.count == 1 ? operators.first! : "(several operators)"
        return TestResult(test: self, subject: subject, outcome: outcome(model, registry, judgement, pool))
    }

    private func outcome(
        _ model: ONNXModel, _ registry: OperatorRegistry, _ judgement: Judgement, _ pool: ThreadPool
    ) -> TestOutcome {
        do {
            let graph = try ModelImporter.importGraph(of: model)
            let sets = try dataSets()
            for set in sets {
                if let difference = try difference(model, graph, set, registry, judgement, pool) {
                    return .failed(sets.count == 1 ? difference : "\(set.name): \(difference)")
                }
            }
            return .passed
        } catch let error as GraphError where error.kind == .unsupported {
            return .unsupported(error.description)
        } catch let error as ONNXFormatError where error.kind == .unsupportedType {
            return .unsupported(error.description)
        } catch {
            return .failed("\(error)")
        }
    }

    /// What is wrong with the outputs for one data set, or nil.
    private func difference(
        _ model: ONNXModel, _ graph: ImportedGraph, _ set: DataSet, _ registry: OperatorRegistry,
        _ judgement: Judgement, _ pool: ThreadPool
    ) throws -> String? {
        let inputs = try set.inputs(of: model.graph)
        let results = try TestRun(graph, registry, pool).outputs(for: inputs)
        for (number, output) in model.graph.outputs.enumerated() {
            let expected = try set.expectedOutput(number, output)
            guard let result = results[output.name], result.type.elementType == expected.elementType.storage else {
                let type = results[output.name].map { "\($0.type)" } ?? "missing"
                return "output '\(output.name)' is \(type), not \(expected.elementType)"
            }
            if let difference = try tolerance().difference(result, from: expected, judgement) {
                return "output '\(output.name)' \(difference)"
            }
        }
        return nil
    }
}
