/// What a tensor's name tells of where it comes from.
enum TensorName {
    /// Whether an exporter made the name up for want of one: `onnx::MatMul_12`, `val_7`, `/norm/Constant_output_0`,
    /// `42`, `const_fold_opt__31`. Names that a program gave to its tensors, `layers.0.bias`, are not.
    static func isMadeUp(_ name: String) -> Bool {
        if name.hasPrefix("onnx::") || name.hasPrefix("/") || name.hasPrefix("_val_") { return true }
        if name.allSatisfy({ $0.isASCII && $0.isNumber }) { return true }
        for stem in ["val_", "Constant_", "const_", "Const_"] where name.hasPrefix(stem) {
            if name.dropFirst(stem.count).first?.isNumber == true { return true }
        }
        if name.hasPrefix("Constant_output") { return true }
        // tf2onnx numbers what it makes: `Const__12`, `const_fold_opt__31`, `new_shape__7`.
        if let mark = name.lastRange(of: "__") {
            let number = name[mark.upperBound...]
            return !number.isEmpty && number.allSatisfy { $0.isASCII && $0.isNumber }
        }
        return false
    }

    /// Whether TorchScript computed the tensor from others while it exported, as it does with the reshaped or sliced
    /// tensors of a program; what the program writes out as numbers is a `Constant` node instead.
    static func isFolded(_ name: String) -> Bool { name.hasPrefix("onnx::") }

    /// Whether programs give the name to tensors that do not train, by convention of the libraries they come from.
    static func isBuffer(_ name: String) -> Bool { buffers.contains(leaf(name)) }

    private static let buffers: Set<String> = [
        "running_mean", "running_var", "moving_mean", "moving_variance", "embed_scale", "final_logits_bias",
        "masked_bias", "relative_coords_table", "inv_freq", "cos_cached", "sin_cached", "freqs_cis", "position_ids",
        "causal_mask", "attn_mask", "pixel_mean", "pixel_std", "mel_filters", "adjacency", "laplacian",
    ]

    /// The name without the number that tells it from others of its kind: `div` of `div_3`.
    static func withoutNumber(_ name: String) -> Substring {
        guard let mark = name.lastIndex(of: "_"), mark > name.startIndex else { return name[...] }
        let number = name[name.index(after: mark)...]
        return !number.isEmpty && number.allSatisfy { $0.isASCII && $0.isNumber } ? name[..<mark] : name[...]
    }

    /// The last component of a dotted or slashed name.
    static func leaf(_ name: String) -> String {
        String(name.split(whereSeparator: { $0 == "." || $0 == "/" }).last ?? "")
    }
}

extension String {
    fileprivate func lastRange(of text: String) -> Range<Index>? { ranges(of: text).last }
}

/// Whether an exporter made a tensor's name up for want of one, as in `onnx::MatMul_12`.
public func isMadeUpName(_ name: String) -> Bool { TensorName.isMadeUp(name) }
