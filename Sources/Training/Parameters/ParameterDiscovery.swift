import ONNXFormat
public import Operators
import TensorGraph

/// Decides which tensors of a model are parameters: what trains unless the user says otherwise.
///
/// What the exporter states decides first: `PARAMETER` is one, unless it is a table of positions that was computed,
/// `BUFFER` and `CONSTANT_TENSOR` are not, and a tensor folded from others is one if a parameter is among them. Where
/// nothing is stated a floating-point tensor is a parameter if a gradient can reach it, and either its name is one that a
/// program gave it or, the name being the exporter's own, it stands where only weights stand or was computed from named
/// tensors. Never: running statistics and other tensors whose names say that they do not train, masks, tables of sines
/// and cosines, symmetric matrices, numbers among zeros, kernels of whole numbers that add up to zero, frequencies, grids,
/// geometric sequences, filters that are the same for every channel, quantized numbers and their scales, single numbers
/// other than weights, biases and those that a PyTorch program named.
public struct ParameterDiscovery {
    let index: GraphIndex

    init(_ index: GraphIndex) { self.index = index }

    /// A verdict on every tensor of the model, in the order of the file.
    /// - Throws: `ONNXFormatError` if a tensor that has to be looked at cannot be decoded.
    public static func findings(in graph: ImportedGraph) throws -> [ParameterFinding] {
        let discovery = ParameterDiscovery(GraphIndex(graph.withBodiesInline))
        return try graph.initializers.map { tensor in
            try discovery.finding(tensor, uses: discovery.index.uses(of: tensor.name))
        }
    }

    /// The verdict on a tensor as far as it is read at `uses`.
    func finding(_ tensor: ImportedGraph.Initializer, uses: [TensorUse]) throws -> ParameterFinding {
        let readings = index.readings(of: uses)
        let (isParameter, reason) = try verdict(tensor, readings)
        return ParameterFinding(
            name: tensor.name, isParameter: isParameter, reason: reason, role: role(tensor, readings))
    }

    private typealias Verdict = (isParameter: Bool, reason: String)

    private func verdict(_ tensor: ImportedGraph.Initializer, _ readings: [TensorReading]) throws -> Verdict {
        guard tensor.dataType.isTrainable else {
            return (false, "holds \(tensor.dataType), not floating-point numbers")
        }
        guard tensor.isTrainable else { return (false, "has no elements") }
        guard let main = mainReading(readings) else {
            return (false, "no output depends on it")
        }
        if readings.contains(where: { $0.role == .quantization }) {
            return (false, "belongs to quantized numbers (\(operatorType(main)))")
        }
        if readings.contains(where: { $0.role == .statistics }) { return (false, "running statistics") }
        guard readings.contains(where: \.role.isDifferentiable) else {
            return (false, main.role == .setting ? "sets how \(operatorType(main)) works" : "only compared")
        }
        if let stated = stated(tensor) {
            let isNumber = tensor.shape.reduce(1, *) == 1 && !tensor.foldedFrom.isEmpty
            if stated.isParameter, try holdsCopiesPerSample(tensor) {
                return (false, "\(stated.reason), once per sample of a fixed batch; export a dynamic batch to train it")
            }
            if stated.isParameter, try isFrozenTable(tensor, readings) {
                return (false, "\(stated.reason), but a table of sines and cosines")
            }
            if !stated.isParameter || !isNumber || readings.contains(where: \.role.isWeightLike) { return stated }
        }
        return try ruled(tensor, readings, main)
    }

    /// What the exporter says of the tensor; nil if it says nothing.
    private func stated(_ tensor: ImportedGraph.Initializer) -> Verdict? {
        if let kind = tensor.exportedKind { return (kind == "PARAMETER", "exporter: \(kind)") }
        guard !tensor.foldedFrom.isEmpty, !index.graph.exporter.sources.isEmpty else { return nil }
        let kinds = tensor.foldedFrom.map { ($0, index.graph.exporter.kind(ofTarget: $0)) }
        if let parameter = kinds.first(where: { $0.1 == "PARAMETER" }) {
            return (true, "folded from parameter '\(parameter.0)'")
        }
        if case (let name, let kind?)? = kinds.first(where: { $0.1 != nil }) {
            return (false, "folded from '\(name)' (exporter: \(kind))")
        }
        return (false, "folded from constants")
    }

    /// Whether a parameter is a table of positions that was computed. The exporter does not say which parameters are frozen;
    /// programs freeze these, and one that trained is no such table any more.
    private func isFrozenTable(_ tensor: ImportedGraph.Initializer, _ readings: [TensorReading]) throws -> Bool {
        guard tensor.shape.count(where: { $0 > 1 }) > 1, !isProductWeight(readings) else { return false }
        let values = try tensor.load()
        return TensorPattern.isSinusoidal(values) && !TensorPattern.isEvenlySpaced(values)
    }

    /// Whether an exporter that knew the batch size folded a parameter into one equal row for every sample.
    private func holdsCopiesPerSample(_ tensor: ImportedGraph.Initializer) throws -> Bool {
        guard !tensor.foldedFrom.isEmpty, let rows = tensor.shape.first, rows > 1,
            index.graph.inputs.contains(where: { $0.dimensions?.first == .fixed(rows) })
        else { return false }
        let values = try tensor.load().floatValues
        let width = values.count / rows
        return width > 0 && (1..<rows).allSatisfy { values[($0 * width)..<($0 + 1) * width] == values[..<width] }
    }

    // MARK: Rules for tensors of which the exporter says nothing

    private func ruled(
        _ tensor: ImportedGraph.Initializer, _ readings: [TensorReading], _ main: TensorReading
    ) throws -> Verdict {
        let isMadeUp = TensorName.isMadeUp(tensor.name) || tensor.isComputed
        let count = tensor.shape.reduce(1, *)
        let isWeight =
            readings.contains { $0.role.isWeightLike && $0.isMoved && standsForWeights($0, tensor, isMadeUp) }
            || readings.contains { scalesChannels($0, tensor) }
        guard count > 0 else { return (false, "empty") }
        // Where PyTorch's exporter states no kinds it names what a program registered; other exporters name every number.
        let namesParameters =
            index.graph.exporter.producer == "pytorch" && index.graph.exporter.sources.isEmpty
        if count == 1, !isWeight, !namesParameters { return (false, "a single number") }
        if TensorName.isBuffer(tensor.name) { return (false, "does not train by its name") }
        if isPowerIterate(tensor) { return (false, "a singular vector that power iteration found") }
        if isMadeUp, !isWeight {
            guard TensorName.isFolded(tensor.name), count > 1, !readings.contains(where: preparesInput),
                readings.contains(where: meetsValues)
            else {
                return (false, count == 1 ? "a single number" : "an unnamed constant of \(operatorType(main))")
            }
            if TensorPattern.areIntegers(try tensor.load()) { return (false, "a constant of whole numbers") }
        }
        if feedsAngles(readings) { return (false, "frequencies of sines and cosines") }
        if readings.contains(where: { isFilter($0, tensor) }), TensorPattern.hasEqualRows(try tensor.load()) {
            return (false, "a filter that is the same for every channel")
        }
        if isMadeUp, main.role == .bias, operatorType(main) == "Add", tensor.shape.count > 1,
            TensorPattern.fill(of: try tensor.load()) == 0
        {
            return (false, "zeros in place of a bias")
        }
        if !isProductWeight(readings) || isMadeUp && isStandIn(main) {
            if let reason = pattern(try tensor.load(), named: tensor.name, isMadeUp, main, readings) {
                return (false, reason)
            }
        } else if main.role == .weight, let reason = constantWeight(try tensor.load()) {
            return (false, reason)
        }
        if isWeight { return (true, description(main)) }
        return (true, "\(isMadeUp ? "tensor computed on export" : "named tensor") read by \(operatorType(main))")
    }

    /// Whether the tensor is a kernel with channels of its own for every channel, as filters that blur have, too.
    private func isFilter(_ reading: TensorReading, _ tensor: ImportedGraph.Initializer) -> Bool {
        guard reading.role == .weight, operatorType(reading) == "Conv", tensor.shape.count > 2 else { return false }
        return tensor.shape[0] > 1 && tensor.shape[1] == 1 && tensor.shape[2...].contains { $0 > 1 }
    }

    /// Whether the tensor scales or shifts an input of the model, as means and deviations of the data do.
    private func preparesInput(_ reading: TensorReading) -> Bool {
        let node = index.node(reading.use)
        guard ["Sub", "Div", "Mul"].contains(node.operatorType), node.inputs.count == 2 else { return false }
        let other = node.inputs[1 - reading.use.input]
        return isInput(other) || index.producer(of: other).map { $0.inputs.contains(where: isInput) } == true
    }

    /// Whether the tensor comes unchanged to a place where it meets values of data and not just their sizes, or is
    /// repeated as often as data are large.
    private func meetsValues(_ reading: TensorReading) -> Bool {
        let node = index.node(reading.use)
        return reading.isMoved && reading.role.isDifferentiable
            && (node.operatorType == "Expand" || node.outputs.contains(where: index.dependsOnValues))
    }

    private func isInput(_ name: String) -> Bool { index.graph.inputs.contains { $0.name == name } }

    /// Whether a tensor without a name of its own can only be weights here. A single number that is added to a result or
    /// multiplies it is a constant of the program.
    private func standsForWeights(
        _ reading: TensorReading, _ tensor: ImportedGraph.Initializer, _ isMadeUp: Bool
    ) -> Bool {
        if isMadeUp, tensor.shape.reduce(1, *) == 1, ["Mul", "Add"].contains(operatorType(reading)) { return false }
        return reading.role != .table || tensor.shape.count == 2
    }

    /// Whether the tensor scales or shifts the channels of a layer's result: [C, 1, 1], as a folded LayerScale does.
    /// What is done so to an input of the model is preprocessing.
    private func scalesChannels(_ reading: TensorReading, _ tensor: ImportedGraph.Initializer) -> Bool {
        let node = index.node(reading.use)
        guard meetsValues(reading), ["Mul", "Add"].contains(node.operatorType), node.inputs.count == 2,
            tensor.shape.suffix(2) == [1, 1], tensor.shape.filter({ $0 > 1 }).count == 1
        else { return false }
        let moves: Set<String> = ["Transpose", "Reshape", "Cast", "Identity"]
        let source = index.producer(of: node.inputs[1 - reading.use.input], before: moves)
        return source.map { !$0.inputs.contains(where: isInput) } == true
    }

    private func isProductWeight(_ readings: [TensorReading]) -> Bool {
        readings.contains { $0.role.isWeightLike && $0.role != .table && $0.isMoved }
    }

    /// What says that a weight was computed: values that no weight starts from or learns.
    private func constantWeight(_ tensor: Constant) -> String? {
        if TensorPattern.isSymmetric(tensor) { return "a symmetric matrix, as adjacencies and transforms are" }
        if TensorPattern.isIncidence(tensor) { return "numbers among zeros, as adjacencies and filter banks are" }
        return TensorPattern.areStencils(tensor) ? "kernels of whole numbers that add up to zero" : nil
    }

    private func pattern(
        _ tensor: Constant, named name: String, _ isMadeUp: Bool, _ main: TensorReading, _ readings: [TensorReading]
    ) -> String? {
        if isMadeUp, isStandIn(main) {
            let neutral: Float = main.role == .normalizationScale ? 1 : 0
            return TensorPattern.fill(of: tensor) == neutral
                ? "stands in for parameters that the normalization does not have" : nil
        }
        if TensorPattern.isAdditiveMask(tensor) { return "a mask" }
        let onlySwitches = index.uses(of: name).allSatisfy { ["Mul", "Where"].contains(index.node($0).operatorType) }
        if onlySwitches, TensorPattern.isSwitch(tensor) { return "a mask" }
        if TensorPattern.isSinusoidal(tensor) { return "a table of sines and cosines" }
        let operators = Set(readings.map(operatorType))
        if operators.contains("Sub"), TensorPattern.isEvenlySpaced(tensor) { return "a grid of evenly spaced numbers" }
        return operators.contains("Mul") && TensorPattern.isGeometric(tensor) ? "a geometric sequence" : nil
    }

    /// Whether the tensor is one of the two vectors that PyTorch's spectral norm keeps beside a weight: `weight_u` and
    /// `weight_v` of `weight_orig`, or `parametrizations.weight.0._u` of `parametrizations.weight.original`.
    private func isPowerIterate(_ tensor: ImportedGraph.Initializer) -> Bool {
        guard tensor.shape.count == 1, tensor.name.hasSuffix("_u") || tensor.name.hasSuffix("_v") else { return false }
        let stem = tensor.name.dropLast(2)
        if index.initializers[stem + "_orig"] != nil { return true }
        return stem.hasSuffix(".") && stem.split(separator: ".").dropLast().dropLast().last == "parametrizations"
    }

    /// Whether the tensor is a scale or bias that an operator demands: exporters write ones and zeros there for layers
    /// that have none, and where an operator is borrowed for another normalisation.
    private func isStandIn(_ reading: TensorReading) -> Bool {
        (reading.role == .normalizationScale || reading.role == .normalizationBias)
            && GraphIndex.normalizations.contains(operatorType(reading))
    }

    /// Whether the tensor, multiplied by something, goes into both sines and cosines and nowhere else.
    private func feedsAngles(_ readings: [TensorReading]) -> Bool {
        var found: Set<String> = []
        var waiting = readings.map(\.use)
        var seen = Set(waiting)
        while let use = waiting.popLast() {
            let node = index.node(use)
            switch node.operatorType {
            case "Sin", "Cos": found.insert(node.operatorType)
            case "Mul", "MatMul", "Einsum", "Cast", "Reshape", "Flatten", "Unsqueeze", "Squeeze", "Expand", "Transpose",
                "Concat", "Slice", "Identity", "Gather", "Div":
                waiting += node.outputs.flatMap { index.uses(of: $0) }.filter { seen.insert($0).inserted }
            default: return false
            }
        }
        return found.count == 2
    }

    // MARK: Descriptions

    private func operatorType(_ reading: TensorReading) -> String { index.node(reading.use).operatorType }

    /// The reading that says most about the tensor.
    private func mainReading(_ readings: [TensorReading]) -> TensorReading? {
        readings.first { $0.role == .table } ?? readings.first { $0.role.isWeightLike }
            ?? readings.first { $0.role.isDifferentiable } ?? readings.first
    }

    private func description(_ reading: TensorReading) -> String {
        let node = operatorType(reading)
        return switch reading.role {
        case .weight: "weight of \(node)"
        case .table: "table of \(node)"
        case .bias: "bias of \(node == "Add" ? "a product" : node)"
        case .normalizationScale: "scale of \(node == "Mul" ? "a normalization" : node)"
        case .normalizationBias: "bias of \(node == "Add" ? "a normalization" : node)"
        case .slope: "slope of \(node)"
        default: "read by \(node)"
        }
    }

    private func role(_ tensor: ImportedGraph.Initializer, _ readings: [TensorReading]) -> ParameterFinding.Role {
        switch mainReading(readings)?.role {
        case .weight?: return .weight
        case .table?: return .table
        case .bias?: return .bias
        case .normalizationScale?: return .normalizationScale
        case .normalizationBias?: return .normalizationBias
        default:
            let leaf = TensorName.leaf(tensor.name)
            return leaf == "bias" || leaf.hasSuffix("_bias") ? .bias : .other
        }
    }
}
