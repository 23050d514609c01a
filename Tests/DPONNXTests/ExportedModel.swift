import DPONNX
import Foundation

/// A model exported from PyTorch, its data, and what PyTorch computes one sample at a time (see make_models.py).
struct ExportedModel: CustomStringConvertible, Sendable {
    static let all = [
        "mlp", "lenet", "resnet_group", "resnet_batch", "mobilenet", "convnext", "vit", "vit_torchscript", "bert",
        "bert_torchscript", "windows", "tied", "shared_heads", "lstm", "lstm_torchscript", "lstm_cell", "gru",
        "gru_packed", "rnn", "rnn_torchscript", "speaker", "loop", "scan", "autoencoder", "autoencoder_torchscript",
        "spatial_transformer", "tables", "tables_torchscript", "picked", "picked_torchscript", "repeated_torchscript",
        "masked_torchscript", "towers", "towers_torchscript", "turned", "grid_fixed", "gru_packed_fixed",
        "bags", "bags_fixed", "bags_torchscript", "gated_bags_fixed", "fresh", "reused", "branches",
        "padded", "padded_torchscript", "spelled_torchscript",
    ].map(ExportedModel.init)

    let name: String
    var description: String { name }

    init(_ name: String) { self.name = name }

    func path(_ suffix: String) -> String {
        Bundle.module.resourceURL!.appendingPathComponent("Fixtures/\(name)\(suffix)").path
    }

    var modelPath: String { path(".onnx") }

    func load() throws -> LoadedModel { try LoadedModel(path: modelPath) }

    func data(for model: LoadedModel) throws -> DataSet {
        try DataSet(ArrayFile(path: path(".data.npz")), inputs: model.inputSlots(InputOptions()))
    }

    /// Array `key` of the oracle, row-major.
    func oracle(_ key: String) throws -> [Double] {
        let array = try ArrayFile(path: path(".oracle.npz")).array(key)
        var values = [Double](repeating: 0, count: array.shape.reduce(1, *))
        values.withUnsafeMutableBufferPointer { array.gather(rows: Array(0..<array.shape[0]), into: $0) }
        return values
    }

    var oracleSums: [String] {
        get throws {
            try ArrayFile(path: path(".oracle.npz")).keys.filter { $0.hasPrefix("sum/") }.map {
                String($0.dropFirst(4))
            }
        }
    }
}

/// The largest difference, relative to the largest expected magnitude, which counts as `floor` at least.
func largestError(_ values: [Float], _ expected: [Double], floor: Double = 0) -> Double {
    guard values.count == expected.count else { return .infinity }
    let scale = max(expected.map(abs).max() ?? 0, floor, .leastNonzeroMagnitude)
    let errors = zip(values, expected).map { abs(Double($0) - $1) / scale }
    return errors.allSatisfy(\.isFinite) ? errors.max() ?? 0 : .infinity
}
