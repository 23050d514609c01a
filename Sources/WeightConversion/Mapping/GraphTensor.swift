import ONNXFormat
import Operators
import Training

/// A floating-point tensor of a graph, and what is known of the program's tensor behind it.
struct GraphTensor: Sendable {
    /// The tensor with the values to convert, or to replace.
    var current: ImportedGraph.Initializer
    /// The tensor of the graph that was exported which it comes from: itself, or the one that it was merged with.
    var original: ImportedGraph.Initializer
    /// Names of the program's tensors that the exporter states for it.
    var programNames: Set<String> = []
    /// Names of the program's tensors that it was computed from, where the exporter states them.
    var foldedFrom: Set<String> = []
    /// Modules of the program that read it.
    var modules: Set<String> = []
    /// Operators that read it, with the input.
    var readers: [Reader] = []
    /// Whether the exporter merged calls of the program that read equal tensors into one that reads this.
    var isMerged = false
    /// The node and module of its first reader; nil if no output depends on it.
    var firstPlace: TensorPlace?

    struct Reader: Hashable, Sendable {
        var operatorType: String
        var input: Int
    }

    var name: String { current.name }
    var shape: [Int] { original.shape }
    var count: Int { shape.reduce(1, *) }

    var storedType: StoredType {
        switch original.dataType {
        case .float64: .float64
        case .float16: .float16
        case .bfloat16: .bfloat16
        default: .float32
        }
    }

    /// 4 or 3 if an LSTM or GRU reads the tensor as weights or biases.
    var gates: Int? {
        for reader in readers where (1...3).contains(reader.input) {
            if reader.operatorType == "LSTM" { return 4 }
            if reader.operatorType == "GRU" { return 3 }
        }
        return nil
    }

    /// Whether the exporter computed the tensor, as it does when it turns the weights of linear layers around.
    var isComputed: Bool { TensorNaming.isMadeUp(original.name) || !foldedFrom.isEmpty }

    /// Whether the exporter has rather turned the tensor around than not: it computes transposes only for products.
    var isRatherTransposed: Bool {
        isComputed && readers.contains { $0.operatorType == "MatMul" || $0.operatorType == "Gemm" }
    }
}

/// Every floating-point tensor of a graph with trained or untied tensors.
struct GraphTensors: Sendable {
    var tensors: [GraphTensor]
    let exporter: Exporter

    /// - Parameters:
    ///   - original: the graph as it was exported.
    ///   - current: the same graph with other values, in which places that shared a tensor may read tensors of their own.
    /// - Throws: `ConversionError` if the graphs are not the same otherwise, `ONNXFormatError` for a tensor that cannot be
    ///   decoded.
    init(original: ImportedGraph, current: ImportedGraph) throws {
        exporter = original.exporter
        let (before, after) = (original.nodes, current.nodes)
        guard before.count == after.count,
            zip(before, after).allSatisfy({ $0.operatorType == $1.operatorType && $0.outputs == $1.outputs })
        else { throw ConversionError.otherGraph }
        let originals = Dictionary(
            original.initializers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        let stated = Dictionary(
            try original.tensorPlaces().map { ($0.position, $0) }, uniquingKeysWith: { first, _ in first })
        let readers = Dictionary(grouping: stated.values, by: \.tensor).mapValues { $0.compactMap(\.module) }
        var placesOf: [String: [TensorPlace]] = [:]
        for place in try current.tensorPlaces() { placesOf[place.tensor, default: []].append(place) }
        tensors = []
        for tensor in current.initializers where tensor.dataType.isTrainable {
            let places = placesOf[tensor.name] ?? []
            let known = places.compactMap { stated[$0.position] }
            guard let source = originals[tensor.name] ?? known.first.flatMap({ originals[$0.tensor] }),
                source.shape == tensor.shape, source.dataType == tensor.dataType
            else { throw ConversionError.otherTensor(tensor.name) }
            var entry = GraphTensor(current: tensor, original: source)
            entry.programNames = Set(known.filter { $0.programNames.count == 1 }.flatMap(\.programNames))
            let sources = exporter.sources(
                source.foldedFrom, in: known.first?.module, among: readers[source.name] ?? [])
            entry.foldedFrom = Set(sources + known.filter { $0.programNames.count > 1 }.flatMap(\.programNames))
            if known.allSatisfy(\.programNames.isEmpty), !TensorNaming.isMadeUp(tensor.name) {
                entry.programNames.insert(tensor.name)
            }
            entry.modules = Set(known.compactMap(\.module))
            entry.readers = known.map { .init(operatorType: $0.operatorType, input: $0.position.input) }
            entry.isMerged = known.contains(where: \.isMerged)
            entry.firstPlace = known.first
            tensors.append(entry)
        }
    }
}
