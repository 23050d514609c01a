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
    /// Those that a batch normalization was folded with, which arithmetic proves.
    private(set) var folded: Set<Int> = []
    /// Tensors of the graph that no tensor of the state_dict can have become.
    private(set) var orphans: [String] = []
    private let advice: String
    private let states: [StateTensor]
    private let open: [Int]

    /// - Parameters:
    ///   - open: positions in the state_dict of floating-point tensors that are not in the graph.
    ///   - weak: positions of tensors filled with one number that were found for want of a better place.
    ///   - unexplained: tensors of the graph that changed and that no tensor of the state_dict explains.
    init(
        _ states: [StateTensor], open: [Int], weak: [Int] = [], unexplained: [GraphTensor], in file: WeightFile,
        _ exporter: Exporter
    ) throws {
        self.states = states
        self.open = open
        advice =
            exporter.sources.isEmpty
            ? "export with training=torch.onnx.TrainingMode.PRESERVE and do_constant_folding=False"
            : "export with optimize=False"
        var norms = try BatchNormalizations(states, open: open + weak, in: file)
        var rest: [GraphTensor] = []
        for tensor in unexplained {
            guard let fold = try norms.fold(of: tensor) else {
                rest.append(tensor)
                continue
            }
            folded.formUnion(fold.states)
            for state in fold.states {
                add(state, "batch normalization '\(fold.module)' is folded into '\(tensor.name)'")
            }
        }
        for tensor in rest {
            let stated = open.filter {
                tensor.programNames.contains(states[$0].programName)
                    || tensor.foldedFrom.contains(states[$0].programName)
            }
            for state in stated.isEmpty ? members(of: tensor) : stated { add(state, "folded into '\(tensor.name)'") }
        }
        // Without a trace of where they come from they may be made of any tensor that is left.
        if reasons.isEmpty, let tensor = rest.first {
            for state in open { add(state, "may be folded into '\(tensor.name)'") }
            if open.isEmpty { orphans = rest.map(\.name) }
        }
    }

    /// Why a parameter that changed is lost: the program computes anew what the graph goes on holding as it was.
    func reason(of stale: StaleConstants.Finding) -> String { "changed, but not \(stale.equation); \(advice)" }

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
