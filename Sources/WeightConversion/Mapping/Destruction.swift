import Operators
import Training

/// Finds out which tensors of a program an exporter computed others from, in a way that cannot be undone.
///
/// What is left of them in the graph are tensors that no tensor of the state_dict explains. The exporter says what it
/// computed them from, or they prove to be weights with a batch normalization multiplied into them; otherwise they belong
/// to the module that reads them.
struct Destruction {
    /// The reason by position in the state_dict.
    private(set) var reasons: [Int: String] = [:]
    private let states: [StateTensor]
    private let open: [Int]
    private let advice: String

    /// - Parameters:
    ///   - open: positions in the state_dict of floating-point tensors that are not in the graph.
    ///   - unexplained: tensors of the graph that changed and that no tensor of the state_dict explains.
    init(
        _ states: [StateTensor], open: [Int], unexplained: [GraphTensor], in file: WeightFile, _ exporter: Exporter
    ) throws {
        self.states = states
        self.open = open
        advice =
            exporter.sources.isEmpty
            ? "export with training=torch.onnx.TrainingMode.PRESERVE and do_constant_folding=False"
            : "export with optimize=False"
        let norms = try BatchNormalizations(states, open: open, in: file)
        for tensor in unexplained {
            if let fold = try norms.fold(of: tensor) {
                let reason = "batch normalization '\(fold.module)' is folded into '\(tensor.name)'"
                for state in fold.states { add(state, reason) }
                continue
            }
            let stated = open.filter {
                tensor.programNames.contains(states[$0].programName)
                    || tensor.foldedFrom.contains(states[$0].programName)
            }
            let near = stated.isEmpty ? members(of: tensor) : stated
            for state in near { add(state, "folded into '\(tensor.name)'") }
            // Without a trace of where it comes from it may be made of any tensor that is left.
            if near.isEmpty, reasons.isEmpty {
                for state in open { add(state, "may be folded into '\(tensor.name)'") }
            }
        }
    }

    private mutating func add(_ state: Int, _ reason: String) {
        if reasons[state] == nil { reasons[state] = "\(reason); \(advice)" }
    }

    /// Tensors of the modules that read a tensor, or else of modules inside them.
    private func members(of tensor: GraphTensor) -> [Int] {
        let own = open.filter { tensor.modules.contains(states[$0].module) }
        if !own.isEmpty { return own }
        return open.filter { state in
            tensor.modules.contains { !$0.isEmpty && states[state].module.hasPrefix($0 + ".") }
        }
    }
}
