import DPONNX
import FoundationEssentials
import Glibc

/// What `dponnx_describe` tells.
struct SessionDescription: Encodable {
    struct Port: Encodable {
        var name: String
        var type: String
        /// Sizes, names of symbolic sizes, or null; nil if the model does not even say how many.
        var dimensions: [Dimension]?
    }
    enum Dimension: Encodable {
        case size(Int)
        case name(String)
        case unknown

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .size(let size): try container.encode(size)
            case .name(let name): try container.encode(name)
            case .unknown: try container.encodeNil()
            }
        }
    }
    struct Tensor: Encodable {
        var name: String
        var shape: [Int]
    }
    /// The planned mechanism.
    struct Mechanism: Encodable {
        var steps: Int
        var noiseMultiplier: Double
        var samplingRate: Double
        var expectedBatchSize: Double
        var datasetSize: Int
        var adjacency: String
        var unit: String
        var clipNorm: Double?
    }
    var inputs: [Port]
    var outputs: [Port]
    var trainable: [Tensor]
    /// Names of all floating-point tensors that the file holds.
    var tensors: [String]
    var otherNames: [String: String]
    var notes: [String]
    var mechanism: Mechanism?
    var stepsTaken: Int
    /// Steps that may still be taken.
    var stepsLeft: Int
    var foreignSteps: Int
    var reasonsNotPrivate: [String]
    var physicalBatchSize: Int?
    var unreached: [String]?

    init(_ session: TrainingSession) {
        let graph = session.model.graph
        inputs = graph.inputs.map(Self.port)
        outputs = graph.outputs.map(Self.port)
        trainable = session.trainable.map { name in
            Tensor(name: name, shape: graph.initializers.first { $0.name == name }!.shape)
        }
        tensors = graph.initializers.filter(\.isTrainable).map(\.name)
        otherNames = session.model.repaired.otherNames
        notes =
            session.model.repaired.notes + [session.model.earlierTrainingNote].compactMap(\.self)
            + session.recordNotes
        mechanism = session.mechanism.map {
            Mechanism(
                steps: $0.steps, noiseMultiplier: $0.noiseMultiplier, samplingRate: $0.sampler.samplingRate,
                expectedBatchSize: $0.expectedBatchSize, datasetSize: $0.datasetSize,
                adjacency: $0.adjacency.rawValue, unit: $0.unit,
                clipNorm: $0.clippingNorm.isFinite ? $0.clippingNorm : nil)
        }
        stepsTaken = session.stepCount
        stepsLeft = session.stepsLeft
        foreignSteps = session.foreignSteps
        reasonsNotPrivate = session.reasonsNotPrivate
        physicalBatchSize = session.trainer?.engine.batchSize
        unreached = session.trainer?.engine.step.unreached
    }

    private static func port(_ port: ImportedGraph.Port) -> Port {
        Port(
            name: port.name, type: "\(port.dataType)",
            dimensions: port.dimensions?.map { dimension in
                switch dimension {
                case .fixed(let size): .size(size)
                case .symbol(let name): .name(name)
                case .unknown: .unknown
                }
            })
    }
}

/// JSON that is to be freed by the caller; numbers that JSON lacks are strings.
func json(_ value: some Encodable) throws -> UnsafeMutablePointer<CChar> {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
        positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
    return String(decoding: try encoder.encode(value), as: UTF8.self).withCString { strdup($0) }
}
