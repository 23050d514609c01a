import ONNXFormat
import Operators

/// What the user wants trained (`--trainable`, `--frozen`).
public struct ParameterSelection: Sendable {
    /// Named choices, which may stand among the patterns. A tensor of such a name is meant by `[b]ias`.
    public enum Preset: String, Sendable, CaseIterable {
        /// Every parameter.
        case all
        /// Every bias, those of normalisations included (BiTFiT).
        case bias
        /// The product nearest to the first output, with what is applied to its result.
        case lastLayer = "last-layer"
        /// Scales and biases of normalisations.
        case norm
    }

    /// Patterns and presets; nothing stands for `all`.
    public var trainable: [String]
    /// Patterns of what stays as it is although `trainable` selects it.
    public var frozen: [String]

    public init(trainable: [String] = [], frozen: [String] = []) {
        self.trainable = trainable
        self.frozen = frozen
    }

    /// The names of the tensors to train, in the order of the file.
    ///
    /// A name without wildcards takes any floating-point tensor. A pattern with wildcards takes the parameters among the
    /// tensors that it matches, and only if there are none the others.
    ///
    /// - Parameters:
    ///   - findings: what `ParameterDiscovery` finds in `model.graph`.
    /// - Throws: `SelectionError` if a pattern matches nothing, a name is no floating-point tensor, or nothing is left.
    public func names(in model: RepairedGraph, findings: [ParameterFinding]) throws(SelectionError) -> [String] {
        let tensors = Tensors(model, findings)
        var selected: Set<String> = []
        for pattern in trainable.isEmpty ? [Preset.all.rawValue] : trainable {
            if let preset = Preset(rawValue: pattern) {
                selected.formUnion(try Self.names(of: preset, tensors))
            } else {
                let matches = try tensors.matches(of: pattern, option: "--trainable")
                let parameters = matches.filter(tensors.parameters.contains)
                let isName = GlobPattern(pattern).isLiteral || matches.contains(pattern)
                selected.formUnion(parameters.isEmpty || isName ? matches : parameters)
            }
        }
        for pattern in frozen { selected.subtract(try tensors.matches(of: pattern, option: "--frozen")) }
        guard !selected.isEmpty else {
            throw SelectionError("--frozen leaves nothing to train; --trainable selects nothing else")
        }
        return model.graph.initializers.map(\.name).filter(selected.contains)
    }

    private static func names(of preset: Preset, _ tensors: Tensors) throws(SelectionError) -> Set<String> {
        let names: Set<String> =
            switch preset {
            case .all: tensors.parameters
            case .bias: tensors.parameters(of: [.bias, .normalizationBias])
            case .norm: tensors.parameters(of: [.normalizationScale, .normalizationBias])
            case .lastLayer: LastLayer.parameters(of: tensors.model.graph, among: tensors.parameters)
            }
        guard !names.isEmpty else {
            throw SelectionError(
                preset == .all
                    ? "no tensor of the model is recognized as a parameter; name those to train with --trainable"
                    : "--trainable \(preset.rawValue): the model has no such parameters")
        }
        return names
    }
}

/// Why a selection of parameters makes no sense for a model: one line for the user.
public struct SelectionError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

/// The tensors that a selection is made from.
private struct Tensors {
    let model: RepairedGraph
    let parameters: Set<String>
    private let findings: [ParameterFinding]
    private let trainable: [String]

    init(_ model: RepairedGraph, _ findings: [ParameterFinding]) {
        self.model = model
        self.findings = findings
        parameters = Set(findings.filter(\.isParameter).map(\.name))
        trainable = model.graph.initializers.filter(\.isTrainable).map(\.name)
    }

    func parameters(of roles: Set<ParameterFinding.Role>) -> Set<String> {
        Set(findings.filter { $0.isParameter && roles.contains($0.role) }.map(\.name))
    }

    /// The floating-point tensors that a pattern matches under one of their names, at least one.
    func matches(of pattern: String, option: String) throws(SelectionError) -> [String] {
        // A tensor that is called just so is meant, whatever its name means as a pattern.
        if trainable.contains(pattern) { return [pattern] }
        if let name = model.otherNames[pattern] { return [name] }
        let glob = GlobPattern(pattern)
        let others = model.otherNames.filter { glob.matches($0.key) }.values
        let matches = trainable.filter { glob.matches($0) || others.contains($0) }
        guard matches.isEmpty else { return matches }
        if let tensor = model.graph.initializers.first(where: { glob.matches($0.name) }) {
            throw SelectionError(
                "\(option) \(quoted(pattern)): \(quoted(tensor.name)) holds \(tensor.dataType) elements; only floating-point tensors train"
            )
        }
        let close = CloseNames.suggestions(for: pattern, among: trainable + model.otherNames.keys.sorted())
        let hint = close.isEmpty ? "check lists the names" : "did you mean \(quotedList(close))?"
        throw SelectionError("\(option) \(quoted(pattern)) matches no tensor of the model; \(hint)")
    }
}
