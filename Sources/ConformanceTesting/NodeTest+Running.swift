import Execution
import Foundation
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
}

extension NodeTest {
    /// Imports the test's model, runs it forward on every data set and compares the outputs.
    ///
    /// Nothing here has a batch: sizes are those of the inputs. Inputs that an operator must know beforehand (axes,
    /// shapes, pads) become initializers where the model is unsupported otherwise.
    public func run(registry: OperatorRegistry = .standard, pool: ThreadPool) -> TestResult {
        let model: ONNXModel
        do {
            model = try ONNXModel(path: modelPath)
        } catch {
            return TestResult(test: self, subject: "(not loaded)", outcome: .failed("\(error)"))
        }
        let operators = Set(model.graph.nodes.map(\.opType))
        let subject = operators.count == 1 ? operators.first! : "(several operators)"
        return TestResult(test: self, subject: subject, outcome: outcome(model, registry, pool))
    }

    private func outcome(_ model: ONNXModel, _ registry: OperatorRegistry, _ pool: ThreadPool) -> TestOutcome {
        do {
            let graph = try ModelImporter.importGraph(of: model)
            let sets = try dataSets()
            for set in sets {
                if let difference = try difference(model, graph, set, registry, pool) {
                    return .failed(sets.count == 1 ? difference : "\(set): \(difference)")
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
        _ model: ONNXModel, _ graph: ImportedGraph, _ set: String, _ registry: OperatorRegistry, _ pool: ThreadPool
    ) throws -> String? {
        var inputs: [String: Constant] = [:]
        for (number, input) in model.graph.inputs.enumerated() {
            guard case .tensor = input.type else {
                throw GraphError(.unsupported, "inputs of type \(input.type) are not computed with", at: input.name)
            }
            inputs[input.name] = try tensor("input_\(number).pb", in: set).constant()
        }
        let results = try evaluate(graph, inputs, registry, pool)
        for (number, output) in model.graph.outputs.enumerated() {
            guard case .tensor = output.type else {
                throw GraphError(.unsupported, "outputs of type \(output.type) are not computed", at: output.name)
            }
            let expected = try tensor("output_\(number).pb", in: set)
            guard let storage = expected.elementType.storage else {
                throw GraphError(.unsupported, "outputs of type \(expected.elementType) are not computed", at: output.name)
            }
            guard let result = results[output.name], result.type.elementType == storage else {
                return "output '\(output.name)' is \(results[output.name].map { "\($0.type)" } ?? "missing"), not \(storage)"
            }
            if let difference = try tolerance().difference(result, from: expected) {
                return "output '\(output.name)' \(difference)"
            }
        }
        return nil
    }

    private func tensor(_ file: String, in set: String) throws -> ONNXTensor {
        guard let bytes = try? Data(contentsOf: URL(fileURLWithPath: "\(set)/\(file)")) else {
            throw ConformanceError("\(set)/\(file): cannot be read")
        }
        return try ONNXTensor(serialized: Array(bytes), named: "\(set)/\(file)")
    }

    /// Tries the inputs as inputs, then lists of integers as initializers, then everything as initializers.
    private func evaluate(
        _ graph: ImportedGraph, _ inputs: [String: Constant], _ registry: OperatorRegistry, _ pool: ThreadPool
    ) throws -> [String: Constant] {
        let lists = inputs.filter { $1.type.elementType == .int64 && $1.type.rank <= 1 }
        var constants: [[String: Constant]] = [[:]]
        for more in [lists, inputs] where more.count > constants.last!.count { constants.append(more) }
        for known in constants.dropLast() {
            do {
                return try evaluate(graph, inputs, knowing: known, registry, pool)
            } catch let error as GraphError where error.kind == .unsupported {
                continue
            }
        }
        return try evaluate(graph, inputs, knowing: constants.last!, registry, pool)
    }

    private func evaluate(
        _ graph: ImportedGraph, _ inputs: [String: Constant], knowing known: [String: Constant],
        _ registry: OperatorRegistry, _ pool: ThreadPool
    ) throws -> [String: Constant] {
        var graph = graph
        for port in graph.inputs {
            guard let constant = known[port.name] else { continue }
            graph.initializers.append(
                ImportedGraph.Initializer(name: port.name, dataType: port.dataType, shape: constant.type.shape) {
                    constant
                })
        }
        graph.inputs.removeAll { known[$0.name] != nil }
        let sizes = RunSizes(
            batchSize: 1, inputShapes: inputs.mapValues(\.type.shape),
            batchFreeInputs: Set(graph.inputs.map(\.name)))
        var specialized = try Specializer(graph, registry: registry, trainable: []).specialize(sizes, reference: nil)
        for output in specialized.outputs { specialized.builder.addOutput(output.name, output.value) }
        let plan = try Plan(specialized.builder.finish(), parameters: ParameterMemory([]), pool: pool)
        for port in graph.inputs {
            let input = inputs[port.name]!
            guard let memory = plan.inputMemory(port.name) else { continue }
            memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: input.bytes[..<input.type.byteCount]))
        }
        plan.run()
        return Dictionary(
            plan.graph.outputs.map { ($0.name, plan.output($0.name)!) }, uniquingKeysWith: { first, _ in first })
    }
}
